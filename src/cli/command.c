/* This file holds what every command does first. */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

static tr_status check_positional(const tr_command *self, const tr_arguments *arguments, size_t most, tr_error *err)
{
    if (arguments->n_positional <= most) return TR_OK;
    tr_fail(err, TR_ERR_USAGE, "%s: what is \"%s\"?", self->text.name, arguments->positional[most]);
    return tr_hint(err, "tallrec %s %s", self->text.name, self->text.arguments);
}

tr_status tr_command_begin(const tr_command *self, int argc, const char **argv, tr_flag *flags, tr_common *common,
                           size_t max_positional, bool lenient, tr_arguments *arguments, bool *done, tr_error *err)
{
    *done = false;
    TR_TRY(tr_flags_parse(argc, argv, flags, self->text.name, arguments, err));
    if (arguments->help) {
        *done = true;
        tr_flags_help(&self->text, flags);
        return TR_OK;
    }
    tr_status status = check_positional(self, arguments, max_positional, err);
    if (status == TR_OK && !lenient) status = tr_flags_require(flags, self->text.name, err);
    if (status != TR_OK) {
        tr_arguments_free(arguments);
        return status;
    }
    if (common->quiet) tr_log_set(TR_LOG_QUIET);
    tr_threads_set(common->threads);
    return TR_OK;
}

const char *tr_format_count(size_t n, char *buffer, size_t size)
{
    char digits[32];
    int n_digits = snprintf(digits, sizeof digits, "%zu", n);
    size_t used = 0;
    for (int i = 0; i < n_digits && used + 2 < size; i++) {
        if (i && (n_digits - i) % 3 == 0) buffer[used++] = ',';
        buffer[used++] = digits[i];
    }
    buffer[used] = '\0';
    return buffer;
}
