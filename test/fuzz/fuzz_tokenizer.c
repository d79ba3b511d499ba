/* This file fuzzes encoding and decoding with a small built-in vocabulary: all bytes, some merges, some special
 * tokens. The first byte of the input chooses the family and the flags; the rest is the text, and then a list of
 * ids. */
#include "fuzz.h"

#include "base/str.h"
#include "text/normalize.h"
#include "text/tokenizer_kind.h"

/* The first byte: families 0 to 3, and 4 to look for special tokens. */
FUZZ_SEEDS(FUZZ_TEXT("\x04the <|end|> two words<| aaaa\n\n123 it's"),
           FUZZ_TEXT("\x01  a\t\r\n \u3000x \u00A0 12 \u00BD"), FUZZ_TEXT("\x06IT'S 'll 12345 !!\n\n  y"),
           FUZZ_TEXT("\x07" "e\u0301\u0316 \u1100\u1161\u11A8 \u0344 q\u0307\u0323"),
           FUZZ_TEXT("\x02\U0001F44D\U0001F3FD \u0627\u064E \u65E5\u672C \u017F"), FUZZ_TEXT("\u0301"),
           FUZZ_TEXT("\u0316"), FUZZ_TEXT("\xFF"), FUZZ_TEXT("\xED\xA0\x80"), FUZZ_TEXT("<|"), FUZZ_TEXT("  "),
           FUZZ_TEXT("\0"))

/* Bytes that GPT-2's alphabet writes as themselves; the other 68, in order, are U+0100 and on. */
static bool printable(int b) { return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE; }

/* Tokens of the vocabulary and the merges that make them; U+0120 is a space and U+010A a line feed. */
static const char *const merged[] = {"aa", "aaaa", "th", "the", "\u0120a", "\u0120\u0120",
                                     "\u010A\u010A", "12", "123", "'s"};
static const char *const merges[] = {"a a", "aa aa", "t h", "th e", "\u0120 a", "\u0120 \u0120",
                                     "\u010A \u010A", "1 2", "12 3", "' s"};
static const char *const special[] = {"<|", "<|end|>", "two words"};
static const char *const families[] = {"smollm", "gpt-2", "llama-bpe", "qwen2"};
enum {
    N_MERGES = sizeof merges / sizeof *merges,
    N_SPECIAL = sizeof special / sizeof *special,
    N_TOKENS = 256 + N_MERGES + N_SPECIAL
};

static tr_tokenizer *make(const char *family)
{
    static char byte_text[256][3];
    tr_gguf_string tokens[N_TOKENS], merge[N_MERGES];
    int32_t types[N_TOKENS];
    int others = 0, n = 0;
    for (int b = 0; b < 256; b++) {
        int code = printable(b) ? b : 0x100 + others++, size = 0;
        if (code >= 0x80) byte_text[b][size++] = (char)(0xC0 | code >> 6);
        byte_text[b][size++] = (char)(code >= 0x80 ? 0x80 | (code & 0x3F) : code);
        tokens[n++] = (tr_gguf_string){byte_text[b], (size_t)size};
    }
    for (int i = 0; i < N_MERGES; i++) {
        merge[i] = (tr_gguf_string){merges[i], strlen(merges[i])};
        tokens[n++] = (tr_gguf_string){merged[i], strlen(merged[i])};
    }
    for (int i = 0; i < N_SPECIAL; i++) tokens[n++] = (tr_gguf_string){special[i], strlen(special[i])};
    for (int i = 0; i < n; i++)
        types[i] = i < 256 + N_MERGES ? TR_TOKEN_NORMAL : i % 2 ? TR_TOKEN_CONTROL : TR_TOKEN_USER_DEFINED;
    tr_tokenizer_spec spec = {.model = "gpt2", .pre = family, .tokens = tokens, .n_tokens = N_TOKENS,
                              .types = types, .n_types = N_TOKENS, .merges = merge, .n_merges = N_MERGES,
                              .bos = -1, .eos = -1, .add_bos = -1};
    tr_tokenizer *tokenizer;
    if (tr_tokenizer_create(&spec, &tokenizer, NULL) != TR_OK) abort();
    return tokenizer;
}

static void must(bool condition)
{
    if (!condition) abort();
}

/* Text of any bytes: refused, or the same after a round trip (the same up to normalisation for Qwen 2). */
static void round_trip(const tr_tokenizer *tokenizer, const char *text, size_t size, int flags, bool normalizes)
{
    tr_tokens tokens = {0};
    char *decoded;
    size_t decoded_size;
    tr_status status = tr_encode(tokenizer, text, size, flags, &tokens, NULL);
    must((status == TR_OK) == tr_utf8_valid(text, size));
    if (status == TR_OK) {
        must(tr_decode(tokenizer, tokens.id, tokens.n, false, true, &decoded, &decoded_size, NULL) == TR_OK);
        if (normalizes) {
            tr_str expected = {0}, got = {0};
            must(tr_normalize_nfc(text, size, &expected, NULL) == TR_OK);
            must(tr_normalize_nfc(decoded, decoded_size, &got, NULL) == TR_OK);
            must(expected.size == got.size && !memcmp(expected.data, got.data, got.size));
            tr_str_free(&expected), tr_str_free(&got);
        } else {
            must(decoded_size == size && (!size || !memcmp(decoded, text, size)));
        }
        free(decoded);
    }
    tr_tokens_free(&tokens);
}

/* Any ids: cleaned text is UTF-8. */
static void decode_any(const tr_tokenizer *tokenizer, const uint8_t *data, size_t size)
{
    int32_t *ids = malloc((size + 1) * sizeof *ids);
    char *decoded;
    size_t decoded_size;
    if (!ids) return;
    for (size_t i = 0; i < size; i++) ids[i] = data[i] + (i % 7 == 6 ? N_TOKENS - 256 : 0);
    must(tr_decode(tokenizer, ids, size, size % 2, true, &decoded, &decoded_size, NULL) == TR_OK);
    must(tr_utf8_valid(decoded, decoded_size));
    free(decoded);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tr_tokenizer *tokenizers[4];
    if (size == 0) return 0;
    int family = data[0] & 3;
    if (!tokenizers[family]) tokenizers[family] = make(families[family]);
    round_trip(tokenizers[family], (const char *)data + 1, size - 1, data[0] & 4 ? TR_ENCODE_SPECIAL : 0,
               family == 3);
    decode_any(tokenizers[family], data + 1, size - 1);
    return 0;
}
