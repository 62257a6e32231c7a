/* tokenizer.c - prompt to ids as T5 has them: pieces, </s>, padding.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tokenizer.h"

#include "file.h"
#include "memory.h"
#include "tokenizer_shim.h"
#include "utf8.h"

#include <string.h>

enum { PROMPT_BYTES_MAX = 1 << 16 };

struct ie_tokenizer {
    ie_sentencepiece *sp;
};

/* ---- opening --------------------------------------------------------------------------------- */

static ie_status load(ie_sentencepiece **out, const char *path, ie_error *err)
{
    ie_file file;
    char message[160] = "";
    IE_TRY(ie_file_open(&file, path, IE_BAD_MODEL, err));
    const ie_sentencepiece_result result =
        ie_sentencepiece_open(out, file.data, (size_t)file.size, message, sizeof message);
    ie_file_close(&file);
    switch (result) {
    case IE_SENTENCEPIECE_OK: return IE_OK;
    case IE_SENTENCEPIECE_NO_MEMORY:
        return ie_fail(err, IE_NO_MEMORY, "no memory to load %s", path);
    case IE_SENTENCEPIECE_ABSENT:
        return ie_fail(err, IE_BAD_MODEL,
                       "%s cannot be used: this build has no tokenizer; build with "
                       "-DIE_SENTENCEPIECE=ON",
                       path);
    case IE_SENTENCEPIECE_FAILED: break;
    }
    return ie_fail(err, IE_BAD_MODEL, "%s is not a SentencePiece model: %s", path, message);
}

static ie_status check(const ie_sentencepiece *sp, const char *path, int vocab_size, ie_error *err)
{
    const int pieces = ie_sentencepiece_pieces(sp);
    const int pad = ie_sentencepiece_pad(sp), end = ie_sentencepiece_end(sp);
    if (pad != IE_TOKEN_PAD || end != IE_TOKEN_END) {
        return ie_fail(err, IE_BAD_MODEL,
                       "%s has padding %d and </s> %d; T5's text encoder needs %d and %d", path,
                       pad, end, IE_TOKEN_PAD, IE_TOKEN_END);
    }
    if (pieces > vocab_size) {
        return ie_fail(err, IE_BAD_MODEL,
                       "%s has %d pieces, but the text encoder's vocab_size is only %d", path,
                       pieces, vocab_size);
    }
    return IE_OK;
}

ie_status ie_tokenizer_open(ie_tokenizer **out, const char *path, int vocab_size, ie_error *err)
{
    *out = NULL;
    ie_tokenizer *t = ie_alloc(1, sizeof *t);
    if (!t) return ie_fail(err, IE_NO_MEMORY, "no memory to load %s", path);
    ie_status status = load(&t->sp, path, err);
    if (status == IE_OK) status = check(t->sp, path, vocab_size, err);
    if (status == IE_OK) {
        *out = t;
    } else {
        ie_tokenizer_close(&t);
    }
    return status;
}

void ie_tokenizer_close(ie_tokenizer **t)
{
    if (!t || !*t) return;
    ie_sentencepiece_close((*t)->sp);
    ie_free(*t);
    *t = NULL;
}

/* ---- encoding -------------------------------------------------------------------------------- */

ie_status ie_tokenizer_encode(const ie_tokenizer *t, const char *text, int length, int32_t *ids,
                              int *used, int *cut, ie_error *err)
{
    const size_t bytes = strlen(text), room = (size_t)length - 1; /* the last place is for </s> */
    size_t count = 0;
    *used = *cut = 0;
    if (bytes > PROMPT_BYTES_MAX) {
        return ie_fail(err, IE_BAD_INPUT, "the prompt has %zu bytes; at most %d are legal", bytes,
                       PROMPT_BYTES_MAX);
    }
    const size_t valid = ie_utf8_valid(text, bytes);
    if (valid < bytes) {
        return ie_fail(err, IE_BAD_INPUT, "the prompt is not UTF-8: byte %zu is 0x%02x", valid,
                       (unsigned char)text[valid]);
    }
    switch (ie_sentencepiece_encode(t->sp, text, bytes, ids, room, &count)) {
    case IE_SENTENCEPIECE_OK: break;
    case IE_SENTENCEPIECE_NO_MEMORY:
        return ie_fail(err, IE_NO_MEMORY, "no memory to tokenize the prompt");
    default: return ie_fail(err, IE_BAD_INPUT, "the prompt cannot be tokenized");
    }
    if (count == 0) return ie_fail(err, IE_BAD_INPUT, "the prompt is empty");
    const size_t kept = count < room ? count : room;
    ids[kept] = IE_TOKEN_END;
    for (size_t i = kept + 1; i < (size_t)length; i++) ids[i] = IE_TOKEN_PAD;
    *used = (int)kept + 1;
    *cut = (int)(count - kept);
    return IE_OK;
}
