/* This file implements progress lines and notes on standard error. */
#include "base/progress.h"
#include "base/str.h"
#include "base/system.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static tr_log_level log_level = TR_LOG_NORMAL;
static bool line_shown;

void tr_log_set(tr_log_level level) { log_level = level; }

static bool on_terminal(void) { return isatty(STDERR_FILENO); }

static void clear_line(void)
{
    if (!line_shown) return;
    fputs("\r\033[K", stderr);
    line_shown = false;
}

void tr_note(const char *format, ...)
{
    if (log_level < TR_LOG_NORMAL) return;
    clear_line();
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void tr_warn(const char *format, ...)
{
    clear_line();
    fputs("warning: ", stderr);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

const char *tr_format_seconds(double seconds, char *buffer, size_t size)
{
    if (seconds < 0) seconds = 0;
    if (seconds < 9.95)
        snprintf(buffer, size, "%.1f s", seconds);
    else if (seconds < 59.5)
        snprintf(buffer, size, "%.0f s", seconds);
    else if (seconds < 3600)
        snprintf(buffer, size, "%d min %02d s", (int)(seconds / 60), (int)seconds % 60);
    else
        snprintf(buffer, size, "%d h %02d min", (int)(seconds / 3600), (int)(seconds / 60) % 60);
    return buffer;
}

const char *tr_format_bytes(double bytes, char *buffer, size_t size)
{
    if (bytes >= 1e9)
        snprintf(buffer, size, "%.2f GB", bytes / 1e9);
    else if (bytes >= 1e6)
        snprintf(buffer, size, "%.0f MB", bytes / 1e6);
    else
        snprintf(buffer, size, "%.0f kB", bytes / 1e3);
    return buffer;
}

static int terminal_width(void)
{
    struct winsize window;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col >= 20) return window.ws_col;
    return 80;
}

static void draw_bar(tr_str *line, double fraction, int cells)
{
    static const char *const part[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int eighths = (int)(fraction * cells * 8 + 0.5);
    for (int i = 0; i < eighths / 8; i++) tr_str_add(line, "█");
    tr_str_add(line, part[eighths % 8]);
    for (int i = (eighths + 7) / 8; i < cells; i++) tr_str_add(line, "·");
}

/* "label ███···· 12/64 rows  3.1/s  20 s left  detail", with the parts that are asked for. */
static void compose(tr_str *line, const tr_progress *p, const char *detail, bool last, bool with_bar, bool with_rate)
{
    const double elapsed = tr_seconds() - p->started;
    const double rate = elapsed > 0 ? (double)(p->done - p->first_done) / elapsed : 0;
    char time[32];
    tr_str_addf(line, "%s ", p->label);
    if (p->total && with_bar) {
        draw_bar(line, (double)p->done / (double)p->total, 12);
        tr_str_add(line, " ");
    }
    if (p->total)
        tr_str_addf(line, "%zu/%zu %s", p->done, p->total, p->unit);
    else
        tr_str_addf(line, "%zu %s", p->done, p->unit);
    if (rate > 0 && with_rate) tr_str_addf(line, rate < 9.95 ? "  %.2f/s" : "  %.0f/s", rate);
    if (last)
        tr_str_addf(line, "  in %s", tr_format_seconds(elapsed, time, sizeof time));
    else if (p->total && rate > 0)
        tr_str_addf(line, "  %s left", tr_format_seconds((double)(p->total - p->done) / rate, time, sizeof time));
    if (detail && *detail) tr_str_addf(line, "  %s", detail);
}

/* Drops characters from the end, all of their bytes, until the line fits. */
static void cut(tr_str *line, int width)
{
    while (tr_utf8_width(line->data) > width) {
        do line->size--; while (line->size && ((uint8_t)line->data[line->size] & 0xC0) == 0x80);
        line->data[line->size] = '\0';
    }
}

/* On a narrow terminal first the bar goes, then the rate, then the end of the line. */
static void draw(tr_progress *p, const char *detail, bool last)
{
    const bool redrawn = on_terminal() && !last;
    const int width = terminal_width() - 1;
    tr_str line = {0};
    for (int without = 0; without < 3; without++) {
        tr_str_free(&line);
        compose(&line, p, detail, last, redrawn && without < 1, without < 2);
        if (line.failed || !redrawn || tr_utf8_width(line.data) <= width) break;
    }
    if (!line.failed && line.data) {
        clear_line();
        if (redrawn) cut(&line, width);
        fputs(line.data, stderr);
        if (!redrawn) fputc('\n', stderr);
        line_shown = redrawn;
        fflush(stderr);
    }
    tr_str_free(&line);
    p->drawn = tr_seconds();
}

void tr_progress_start(tr_progress *progress, const char *label, const char *unit, size_t total, size_t done)
{
    double now = tr_seconds();
    *progress = (tr_progress){.label = label, .unit = unit, .started = now, .drawn = now - 0.05,
                              .total = total, .done = done, .first_done = done, .active = true};
}

void tr_progress_update(tr_progress *progress, size_t done, const char *detail)
{
    progress->done = done;
    if (!progress->active || log_level < TR_LOG_NORMAL) return;
    double wait = on_terminal() ? 0.1 : 10.0;
    if (tr_seconds() - progress->drawn >= wait) draw(progress, detail, false);
}

void tr_progress_finish(tr_progress *progress, const char *detail)
{
    if (progress->active && log_level >= TR_LOG_NORMAL) draw(progress, detail, true);
    progress->active = false;
}
