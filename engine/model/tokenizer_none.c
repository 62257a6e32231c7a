/* tokenizer_none.c - tokenizer_shim.h for builds without SentencePiece: opening says so, and no
 * other function can be reached without an opened model.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tokenizer_shim.h"

#include <string.h>

ie_sentencepiece_result ie_sentencepiece_open(ie_sentencepiece **out, const void *model,
                                              size_t bytes, char *message, size_t message_bytes)
{
    (void)model, (void)bytes;
    if (message_bytes) *message = 0;
    *out = NULL;
    return IE_SENTENCEPIECE_ABSENT;
}

void ie_sentencepiece_close(ie_sentencepiece *sp)
{
    (void)sp;
}

int ie_sentencepiece_pieces(const ie_sentencepiece *sp)
{
    (void)sp;
    return 0;
}

int ie_sentencepiece_pad(const ie_sentencepiece *sp)
{
    (void)sp;
    return -1;
}

int ie_sentencepiece_end(const ie_sentencepiece *sp)
{
    (void)sp;
    return -1;
}

ie_sentencepiece_result ie_sentencepiece_encode(const ie_sentencepiece *sp, const char *text,
                                                size_t bytes, int32_t *ids, size_t capacity,
                                                size_t *count)
{
    (void)sp, (void)text, (void)bytes;
    memset(ids, 0, capacity * sizeof *ids);
    *count = 0;
    return IE_SENTENCEPIECE_ABSENT;
}
