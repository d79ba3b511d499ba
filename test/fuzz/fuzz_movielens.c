/* This file fuzzes the tables of items and ratings, in both layouts, and the protocol behind them: whatever the
 * files hold, the examples that come out ask about known items with histories of the right length. */
#include "fuzz.h"

#include "rec/importers.h"
#include "rec/table.h"

/* Items, a form feed, ratings. The first byte chooses the layout. */
FUZZ_SEEDS(FUZZ_TEXT("g1|A (1990)|x\n2|B \"C\", \"D\"|x\n3|\xe9|x\n\f"
                     "u\t1\t5\t881250949\nu\t2\t3\t881250950\nu\t3\t4\t881250950\n"
                     "v\t1\t1\t99\nu\t1\t2\t5\nv\t9\t1\t1\n"),
           FUZZ_TEXT("ritem_id:token\ttitle:token_seq\tyear:token\n1\tA\t1990\n2\t\"B \"\"b\"\"\"\tV\n3\tC\tC\n\f"
                     "user:token\titem:token\trating:float\ttime:float\n"
                     "u\t1\t5.0\t881250949.0\nu\t2\t1\t20\nu\t3\t4\t1000\n"),
           FUZZ_TEXT("\xef\xbb\xbf"), FUZZ_TEXT("\r\n"), FUZZ_TEXT("\t"), FUZZ_TEXT("|"), FUZZ_TEXT("\f"),
           FUZZ_TEXT("1e999"), FUZZ_TEXT("nan"), FUZZ_TEXT("-0"), FUZZ_TEXT("0x10"), FUZZ_TEXT("9007199254740993"),
           FUZZ_TEXT("\0"), FUZZ_TEXT("\""), FUZZ_TEXT("\" written by "), FUZZ_TEXT("\nu\t1\t5\t1"))

static const tr_table_columns item_columns[2] = {
    {.separator = '|', .n_columns = 2, .id = 0, .title = 1, .year = TR_NO_COLUMN},
    {.separator = '\t', .header = true, .quoted = true, .n_columns = 3, .id = 0, .title = 1, .year = 2},
};
static const tr_table_columns rating_columns[2] = {
    {.separator = '\t', .n_columns = 4, .user = 0, .item = 1, .rating = 2, .time = 3},
    {.separator = '\t', .header = true, .quoted = true, .n_columns = 4, .user = 0, .item = 1, .rating = 2, .time = 3},
};

static void check_example(const tr_interactions *interactions, const tr_example *example, size_t n_history)
{
    tr_error err;
    char *again;
    if (example->n_history != n_history || example->label < 0) abort();
    if (tr_interactions_item(interactions, example->item) == TR_NOT_FOUND) abort();
    if (tr_interactions_user(interactions, example->user) == TR_NOT_FOUND) abort();
    for (size_t i = 0; i < n_history; i++)
        if (tr_interactions_item(interactions, example->history[i].item) == TR_NOT_FOUND ||
            strcmp(example->history[i].item, example->item) == 0)
            abort();
    if (tr_example_shortened_input(example, 0, &again, &err) != TR_OK) return; /* a title may hold the prompt's words */
    if (strcmp(again, example->input) != 0) abort();
    free(again);
}

static void check_protocol(tr_interactions *interactions)
{
    tr_import_options options = tr_import_defaults();
    tr_examples split[TR_N_SPLITS] = {0};
    size_t n_windows = 0, n = 0;
    tr_error err;
    options.history = 2;
    options.max_windows = 20;
    if (tr_interactions_group(interactions, &err) != TR_OK) abort();
    tr_status status = tr_protocol_tallrec(interactions, &options, "movie", split, &n_windows, &err);
    for (int s = 0; s < TR_N_SPLITS; s++) {
        n += split[s].n;
        for (size_t i = 0; i < split[s].n; i++) check_example(interactions, &split[s].row[i], 2);
        tr_examples_free(&split[s]);
    }
    if (status == TR_OK && n != (n_windows < 20 ? n_windows : 20)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tr_import_data out = {0};
    tr_error err = {0};
    if (size == 0) return 0;
    stderr = fopen("/dev/null", "w"); /* warnings; the sanitizers write to the descriptor */
    int layout = data[0] == 'r';
    const uint8_t *ratings = memchr(data, '\f', size);
    size_t items_size = (ratings ? (size_t)(ratings - data) : size) - (ratings != data);
    size_t skip = ratings != data;
    tr_status status = tr_table_read_items(fuzz_file(data + skip, items_size), &item_columns[layout], 1, &out, &err);
    if (status == TR_OK && ratings)
        status = tr_table_read_ratings(fuzz_file(ratings + 1, size - (size_t)(ratings + 1 - data)),
                                       &rating_columns[layout], 1, &out, &err);
    if (status != TR_OK && !err.message[0]) abort();
    if (status == TR_OK) check_protocol(&out.interactions);
    tr_interactions_free(&out.interactions);
    tr_card_clear(&out.card);
    fclose(stderr);
    return 0;
}
