/* This file fuzzes examples: rows of any shape are read to their end, any prompt text is taken apart and put together
 * unchanged, and the files that people write for `rank` never do harm. */
#include "fuzz.h"

#include "rec/example.h"
#include "rec/rank_input.h"

#define LIKES "User Preference: "
#define DISLIKES "\nUser Unpreference: "
#define TARGET "\nWhether the user will like the target "

FUZZ_SEEDS(FUZZ_TEXT("{\"instruction\": \"i\", \"input\": \"User Preference: \\\"A\\\"\\nUser Unpreference: \\nWhether "
                     "the user will like the target movie \\\"T\\\"?\", \"output\": \"Yes.\", \"user\": 1, "
                     "\"time\": 2, \"history\": [{\"item\": \"1\", \"title\": \"A\", \"liked\": true}]}\n"),
           FUZZ_TEXT(LIKES "\"A, \"b\"\", \"C\", \"D\"" DISLIKES "\"E\"" TARGET "movie \"T\"?"),
           FUZZ_TEXT(LIKES "\"A\" written by B, \"C, \"d\"\" written by E" DISLIKES TARGET
                           "book \"\"F\" written by G\"?"),
           FUZZ_TEXT("[{\"title\": \"A\", \"liked\": true}, {\"item\": 2, \"liked\": \"no\"}]"),
           FUZZ_TEXT("Alpha\tyes\n2\tno\n"), FUZZ_TEXT("[1, \"2\"]"), FUZZ_TEXT("\", \""), FUZZ_TEXT("\" written by "),
           FUZZ_TEXT(DISLIKES), FUZZ_TEXT(TARGET), FUZZ_TEXT("\"?"),
           FUZZ_TEXT("\"history\":[]"), FUZZ_TEXT("\0"), FUZZ_TEXT("\xff"))

/* Shortened by nothing an input is itself; by more it has as many entries less; shuffled it keeps its length. */
static void check_input(const tr_example *example)
{
    char *same, *shorter, *shuffled;
    tr_error err = {0};
    tr_status status = tr_example_shortened_input(example, 0, &same, &err);
    if (status == TR_ERR_UNSUPPORTED) return;
    if (status != TR_OK || strcmp(same, example->input) != 0) abort();
    if (tr_example_shortened_input(example, 1, &shorter, &err) != TR_OK) abort();
    if (strlen(shorter) > strlen(same)) abort();
    if (tr_example_shuffled_input(example, 1, 2, &shuffled, &err) != TR_OK) abort();
    if (strlen(shuffled) != strlen(same)) abort();
    free(same);
    free(shorter);
    free(shuffled);
}

static void check_text(const uint8_t *data, size_t size)
{
    tr_example example = {0};
    char *built;
    tr_error err = {0};
    example.input = malloc(size + 1);
    if (!example.input) abort();
    memcpy(example.input, data, size);
    example.input[size] = '\0';
    if (tr_example_parse_input(&example, &err) != TR_OK) abort();
    check_input(&example);
    if (example.title) { /* it has the published form */
        char *noun;
        if (tr_example_noun(&example, &noun, &err) != TR_OK) abort();
        if (tr_example_input(&example, noun, 0, &built, &err) != TR_OK || strcmp(built, example.input) != 0) abort();
        free(noun);
        free(built);
    }
    tr_example_clear(&example);
}

static void check_rank_files(const char *path, const tr_interactions *catalogue)
{
    tr_history_item *history;
    tr_item *items;
    size_t n;
    tr_error err = {0};
    if (tr_history_read(path, catalogue, &history, &n, &err) == TR_OK) {
        for (size_t i = 0; i < n; i++)
            if (!history[i].title[0]) abort();
        tr_history_free(history, n);
    }
    if (tr_candidates_read(path, catalogue, &items, &n, &err) == TR_OK) {
        if (n == 0) abort();
        tr_candidates_free(items, n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tr_interactions catalogue;
    tr_examples rows;
    tr_error err = {0};
    if (catalogue.n_items == 0 && (tr_interactions_add_item(&catalogue, "1", "Alpha", &err) != TR_OK ||
                                   tr_interactions_add_item(&catalogue, "2", "1", &err) != TR_OK))
        abort();
    stderr = fopen("/dev/null", "w"); /* warnings; the sanitizers write to the descriptor */
    check_text(data, size);
    const char *path = fuzz_file(data, size);
    if (tr_examples_read_tolerant(path, false, 1, &rows, NULL, &err) == TR_OK) {
        for (size_t i = 0; i < rows.n; i++) check_input(&rows.row[i]);
        tr_examples_free(&rows);
    } else if (!err.message[0]) {
        abort();
    }
    check_rank_files(path, &catalogue);
    fclose(stderr);
    return 0;
}
