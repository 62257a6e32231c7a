/* tokenizer.h - SentencePiece, as T5 uses it: prompt to ids ending with the end-of-sequence token.
 *
 * The library is C++; tokenizer_shim.cc is the only file that sees it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_MODEL_TOKENIZER_H
#define IE_MODEL_TOKENIZER_H

#include "error.h"

typedef struct ie_tokenizer ie_tokenizer;

enum { IE_TOKEN_PAD = 0, IE_TOKEN_END = 1 };

/* Load spiece.model and check that pad is 0, </s> is 1 and no piece is past `vocab_size` (T5's
 * embedding table may be larger than the vocabulary, never smaller). */
ie_status ie_tokenizer_open(ie_tokenizer **out, const char *path, int vocab_size, ie_error *err);
void ie_tokenizer_close(ie_tokenizer **t);

/* ids [length] i32, length >= 1: tokens of `text` (UTF-8, checked, at most 64 KiB: IE_BAD_INPUT
 * otherwise), then </s>, then padding. *used: tokens kept, </s> included; *cut: tokens that did not
 * fit (the last kept one is still </s>). Text that has no token at all is refused. "</s>" and the
 * like inside a prompt are text, never special tokens. */
ie_status ie_tokenizer_encode(const ie_tokenizer *t, const char *text, int length, int32_t *ids,
                              int *used, int *cut, ie_error *err);

#endif
