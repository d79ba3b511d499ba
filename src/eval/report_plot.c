/* This file implements the drawing of plots as SVG. */
#include "eval/report_plot.h"

#include <math.h>
#include <stdio.h>

void tr_plot_open(tr_plot *p, tr_str *out, const char *id, const char *title, const char *description, double height,
                  double left_margin)
{
    *p = (tr_plot){.out = out, .height = height, .left = left_margin, .right = TR_PLOT_WIDTH - 12, .top = 24,
                   .bottom = height - 36, .x1 = 1, .y1 = 1};
    tr_str_addf(out, "<svg class=\"plot\" viewBox=\"0 0 %d %.0f\" role=\"img\" aria-labelledby=\"%s-t %s-d\">"
                "<title id=\"%s-t\">", TR_PLOT_WIDTH, height, id, id, id);
    tr_str_add_html(out, title);
    tr_str_addf(out, "</title><desc id=\"%s-d\">", id);
    tr_str_add_html(out, description);
    tr_str_add(out, "</desc>\n");
}

void tr_plot_scale(tr_plot *p, double x0, double x1, double y0, double y1)
{
    p->x0 = x0, p->x1 = x1 > x0 ? x1 : x0 + 1;
    p->y0 = y0, p->y1 = y1 > y0 ? y1 : y0 + 1;
}

void tr_plot_close(tr_plot *p) { tr_str_add(p->out, "</svg>\n"); }

static double held(double share) { return share < 0 ? 0 : share > 1 ? 1 : share; }

double tr_plot_x(const tr_plot *p, double x)
{
    return p->left + held((x - p->x0) / (p->x1 - p->x0)) * (p->right - p->left);
}

double tr_plot_y(const tr_plot *p, double y)
{
    return p->bottom - held((y - p->y0) / (p->y1 - p->y0)) * (p->bottom - p->top);
}

double tr_plot_step(double range, int most)
{
    if (!(range > 0) || !isfinite(range)) return 1;
    double step = pow(10, floor(log10(range / most)));
    while (range / step > most * (1 + 1e-9)) {
        double leading = step / pow(10, floor(log10(step * 1.0001)));
        step *= leading > 1.5 && leading < 3 ? 2.5 : 2; /* 1, 2, 5, 10 */
    }
    return step;
}

/* As many digits as the step needs: ".6", "0.25", "200". */
static void format_tick(char *text, size_t size, double value, double step)
{
    int digits = step >= 1 ? 0 : (int)ceil(-log10(step) - 1e-9);
    snprintf(text, size, "%s%.*f", value < -step / 2 ? "−" : "", digits, fabs(value));
}

void tr_plot_text(tr_plot *p, const char *class_name, double at_x, double at_y, const char *anchor, const char *text)
{
    tr_str_addf(p->out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", class_name, at_x, at_y, anchor);
    tr_str_add_html(p->out, text);
    tr_str_add(p->out, "</text>\n");
}

void tr_plot_x_axis(tr_plot *p, const char *label, int most_ticks)
{
    double step = tr_plot_step(p->x1 - p->x0, most_ticks);
    char text[32];
    for (double k = ceil(p->x0 / step - 1e-9); k * step <= p->x1 + step * 1e-9; k++) {
        double at = tr_plot_x(p, k * step);
        tr_str_addf(p->out, "<path class=\"tick\" d=\"M%.1f %.1fv4\"/>", at, p->bottom);
        format_tick(text, sizeof text, k * step, step);
        tr_plot_text(p, "tick", at, p->bottom + 16, "middle", text);
    }
    tr_str_addf(p->out, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>\n", p->left, p->bottom, p->right);
    tr_plot_text(p, "label", p->right, p->bottom + 32, "end", label);
}

void tr_plot_y_axis(tr_plot *p, const char *label, int most_ticks)
{
    double step = tr_plot_step(p->y1 - p->y0, most_ticks);
    char text[32];
    for (double k = ceil(p->y0 / step - 1e-9); k * step <= p->y1 + step * 1e-9; k++) {
        double at = tr_plot_y(p, k * step);
        tr_str_addf(p->out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", p->left, at, p->right);
        format_tick(text, sizeof text, k * step, step);
        tr_plot_text(p, "tick", p->left - 7, at + 3.5, "end", text);
    }
    tr_plot_text(p, "label", 0, 11, "start", label);
}

/* Points closer than can be seen to the last one drawn are left out, so that a curve over many rows stays small. */
void tr_plot_line(tr_plot *p, const char *class_name, const double *x, const double *y, size_t n)
{
    const double visible = 0.4;
    double last_x = -1e9, last_y = -1e9;
    tr_str_addf(p->out, "<polyline class=\"line %s\" points=\"", class_name);
    for (size_t i = 0; i < n; i++) {
        double at_x = tr_plot_x(p, x[i]), at_y = tr_plot_y(p, y[i]);
        if (i + 1 < n && fabs(at_x - last_x) < visible && fabs(at_y - last_y) < visible) continue;
        tr_str_addf(p->out, "%s%.1f,%.1f", i ? " " : "", at_x, at_y);
        last_x = at_x, last_y = at_y;
    }
    tr_str_add(p->out, "\"/>\n");
}

void tr_plot_segment(tr_plot *p, const char *class_name, double x0, double y0, double x1, double y1)
{
    tr_str_addf(p->out, "<path class=\"%s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", class_name, tr_plot_x(p, x0),
                tr_plot_y(p, y0), tr_plot_x(p, x1), tr_plot_y(p, y1));
}

void tr_plot_rectangle(tr_plot *p, const char *class_name, double x0, double y0, double x1, double y1)
{
    double left = tr_plot_x(p, fmin(x0, x1)), right = tr_plot_x(p, fmax(x0, x1));
    double top = tr_plot_y(p, fmax(y0, y1)), bottom = tr_plot_y(p, fmin(y0, y1));
    tr_str_addf(p->out, "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>\n", class_name, left,
                top, right - left, bottom - top);
}

void tr_plot_dot(tr_plot *p, const char *class_name, double x, double y, double radius, const char *tooltip)
{
    tr_str_addf(p->out, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"", class_name, tr_plot_x(p, x),
                tr_plot_y(p, y), radius);
    if (tooltip) {
        tr_str_add(p->out, "><title>");
        tr_str_add_html(p->out, tooltip);
        tr_str_add(p->out, "</title></circle>\n");
    } else {
        tr_str_add(p->out, "/>\n");
    }
}
