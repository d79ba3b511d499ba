/* This file is the command `tokenize`. */
#include "cli/command.h"

#include "base/file.h"
#include "base/memory.h"
#include "format/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT ((size_t)1 << 30)

static void print_ids(const tr_tokenization *tokens)
{
    putchar('[');
    for (size_t i = 0; i < tokens->n; i++) printf("%s%d", i ? ", " : "", tokens->id[i]);
    puts("]");
}

/* Each piece as a JSON string, so that blanks and line ends can be seen. */
static tr_status print_pieces(const tr_tokenization *tokens, tr_error *err)
{
    for (size_t i = 0; i < tokens->n; i++) {
        char *quoted = NULL;
        json_t *piece = json_string(tokens->piece[i]);
        if (piece) quoted = json_dumps(piece, JSON_ENCODE_ANY);
        json_decref(piece);
        if (!quoted) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a table of tokens");
        printf("%5zu  %6d  %s\n", i, tokens->id[i], quoted);
        free(quoted);
    }
    return TR_OK;
}

static tr_status encode(const char *model, const char *text, size_t size, bool special, bool bos, bool pieces,
                        tr_error *err)
{
    tr_tokenization tokens;
    TR_TRY(tr_tokenize_run(model, text, size, special, bos, &tokens, err));
    tr_status status = TR_OK;
    if (pieces)
        status = print_pieces(&tokens, err);
    else
        print_ids(&tokens);
    tr_tokenization_free(&tokens);
    return status;
}

static tr_status parse_ids(const char *text, size_t size, int32_t **ids, size_t *n, tr_error *err)
{
    json_t *array;
    TR_TRY(tr_json_parse(text, size, "ids", &array, err));
    tr_status status = TR_OK;
    *n = json_array_size(array);
    if (!json_is_array(array)) status = tr_fail(err, TR_ERR_FORMAT, "ids must be a JSON array of whole numbers");
    if (status == TR_OK) status = tr_alloc(ids, *n, sizeof **ids, "token ids", err);
    for (size_t i = 0; status == TR_OK && i < *n; i++) {
        const json_t *id = json_array_get(array, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
            status = tr_fail(err, TR_ERR_FORMAT, "element %zu of the ids is not a token id", i);
        (*ids)[i] = (int32_t)json_integer_value(id);
    }
    json_decref(array);
    return status;
}

static tr_status decode(const char *model, const char *text, size_t size, tr_error *err)
{
    int32_t *ids = NULL;
    size_t n, decoded_size;
    char *decoded = NULL;
    tr_status status = parse_ids(text, size, &ids, &n, err);
    if (status == TR_OK) status = tr_detokenize_run(model, ids, n, &decoded, &decoded_size, err);
    if (status == TR_OK) {
        fwrite(decoded, 1, decoded_size, stdout);
        putchar('\n');
    }
    free(decoded);
    free(ids);
    return status;
}

static tr_status run(const tr_command *self, int argc, const char **argv, tr_error *err)
{
    const char *model = NULL, *given = NULL, *path = NULL;
    bool decodes = false, pieces = false, special = true, bos = false;
    tr_common common = {0};
    tr_flag flags[] = {
        {TR_FLAG_GROUP, .help = "What"},
        {TR_FLAG_STRING, "model", 0, "FILE", &model, "a GGUF file: its tokenizer is used", .required = true},
        {TR_FLAG_STRING, "text", 0, "STRING", &given, "the text, or with --decode the JSON array of ids"},
        {TR_FLAG_STRING, "file", 0, "FILE", &path, "the same from a file, every byte of it"},
        {TR_FLAG_GROUP, .help = "How"},
        {TR_FLAG_ON, "decode", 0, NULL, &decodes, "ids to text"},
        {TR_FLAG_ON, "pieces", 0, NULL, &pieces, "a table of place, id and text of each token instead of the array"},
        {TR_FLAG_OFF, "plain", 0, NULL, &special,
         "text that spells a special token, such as <|im_end|>, is ordinary text (as in titles of a prompt)"},
        {TR_FLAG_ON, "bos", 0, NULL, &bos, "put the beginning-of-text token first if the model uses one"},
        TR_COMMON_FLAGS(&common),
    };
    tr_arguments arguments;
    bool done;
    TR_TRY(tr_command_begin(self, argc, argv, flags, &common, 0, false, &arguments, &done, err));
    if (done) return TR_OK;
    char *content = NULL;
    size_t size = given ? strlen(given) : 0;
    tr_status status = TR_OK;
    if (!given == !path) {
        tr_fail(err, TR_ERR_USAGE, "tokenize needs either --text STRING or --file FILE");
        status = tr_hint(err, "tallrec tokenize --help");
    }
    if (status == TR_OK && path) status = tr_file_read(path, MAX_TEXT, &content, &size, err);
    const char *text = path ? content : given;
    if (status == TR_OK)
        status = decodes ? decode(model, text, size, err) : encode(model, text, size, special, bos, pieces, err);
    free(content);
    tr_arguments_free(&arguments);
    return status;
}

const tr_command tr_command_tokenize = {
    .text = {
        .name = "tokenize",
        .summary = "text to token ids, and back",
        .arguments = "--model FILE (--text STRING | --file FILE) [flags]",
        .description =
            "Prints the token ids of a text as a JSON array: what Hugging Face tokenizers give for the same model "
            "without special tokens around it. With --decode, the text of ids.",
        .examples = "tallrec tokenize --model M.gguf --text 'Heat (1995)'\n"
                    "tallrec tokenize --model M.gguf --text '[56, 304]' --decode",
    },
    .run = run,
};
