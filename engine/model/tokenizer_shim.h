/* tokenizer_shim.h - the little of SentencePiece that the engine uses, in C.
 *
 * Implemented by tokenizer_shim.cc, or by tokenizer_none.c in builds without SentencePiece. No
 * exception leaves these functions. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_MODEL_TOKENIZER_SHIM_H
#define IE_MODEL_TOKENIZER_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ie_sentencepiece ie_sentencepiece;

typedef enum ie_sentencepiece_result {
    IE_SENTENCEPIECE_OK,
    IE_SENTENCEPIECE_NO_MEMORY,
    IE_SENTENCEPIECE_FAILED, /* the library refused; `message` says why */
    IE_SENTENCEPIECE_ABSENT, /* this build has no tokenizer */
} ie_sentencepiece_result;

/* Load a model from its bytes, which may be released afterwards. */
ie_sentencepiece_result ie_sentencepiece_open(ie_sentencepiece **out, const void *model,
                                              size_t bytes, char *message, size_t message_bytes);
void ie_sentencepiece_close(ie_sentencepiece *sp); /* NULL is fine */

int ie_sentencepiece_pieces(const ie_sentencepiece *sp); /* ids are 0 .. this - 1 */
int ie_sentencepiece_pad(const ie_sentencepiece *sp);    /* -1: the model has none */
int ie_sentencepiece_end(const ie_sentencepiece *sp);    /* </s>; -1: none */

/* The first `capacity` ids of `text`; *count: how many there are, all told. Adds no </s>. */
ie_sentencepiece_result ie_sentencepiece_encode(const ie_sentencepiece *sp, const char *text,
                                                size_t bytes, int32_t *ids, size_t capacity,
                                                size_t *count);

#ifdef __cplusplus
}
#endif
#endif
