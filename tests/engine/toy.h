/* toy.h - edits of the committed toy cascade (tests/golden/cascade), as the tests of the whole
 * engine make them. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_TEST_TOY_H
#define IE_TEST_TOY_H

#include "golden.h"
#include "imagen_editor.h"

enum { TOY_SIDE = 64, TOY_EDITS = 2 };

/* A request with memory of its own. */
typedef struct toy_edit {
    ie_request request;
    char prompt[128];
    uint8_t image[TOY_SIDE * TOY_SIDE * 3], mask[TOY_SIDE * TOY_SIDE],
        output[TOY_SIDE * TOY_SIDE * 3];
} toy_edit;

/* Edit 0 or 1 of tests/golden/cascade-io.safetensors. The struct must not move afterwards. */
void toy_fill(toy_edit *e, const golden *io, int index);

/* Open the toy cascade with lanes for `requests` requests with guidance, or end the test; NULL when
 * this build has no such device. `kept`: the same model, all of whose stages keep known pixels. */
typedef ie_engine *toy_opener(const char *device, bool bf16, int threads, int requests);
toy_opener toy_open, toy_open_kept;

#endif
