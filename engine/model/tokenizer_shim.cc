/* tokenizer_shim.cc - SentencePiece behind C: the only C++ of the engine. Every call into the
 * library is wrapped, because an exception must not cross into C.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tokenizer_shim.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

struct ie_sentencepiece {
    sentencepiece::SentencePieceProcessor processor;
};

ie_sentencepiece_result ie_sentencepiece_open(ie_sentencepiece **out, const void *model,
                                              size_t bytes, char *message, size_t message_bytes)
{
    *out = nullptr;
    try {
        auto sp = std::make_unique<ie_sentencepiece>();
        const auto status = sp->processor.LoadFromSerializedProto(
            std::string_view(static_cast<const char *>(model), bytes));
        if (!status.ok()) {
            std::snprintf(message, message_bytes, "%s", status.error_message());
            return IE_SENTENCEPIECE_FAILED;
        }
        *out = sp.release();
        return IE_SENTENCEPIECE_OK;
    } catch (const std::bad_alloc &) {
        return IE_SENTENCEPIECE_NO_MEMORY;
    } catch (const std::exception &e) {
        std::snprintf(message, message_bytes, "%s", e.what());
        return IE_SENTENCEPIECE_FAILED;
    } catch (...) {
        std::snprintf(message, message_bytes, "unknown failure");
        return IE_SENTENCEPIECE_FAILED;
    }
}

void ie_sentencepiece_close(ie_sentencepiece *sp)
{
    delete sp;
}

int ie_sentencepiece_pieces(const ie_sentencepiece *sp)
{
    return sp->processor.GetPieceSize();
}

int ie_sentencepiece_pad(const ie_sentencepiece *sp)
{
    return sp->processor.pad_id();
}

int ie_sentencepiece_end(const ie_sentencepiece *sp)
{
    return sp->processor.eos_id();
}

ie_sentencepiece_result ie_sentencepiece_encode(const ie_sentencepiece *sp, const char *text,
                                                size_t bytes, int32_t *ids, size_t capacity,
                                                size_t *count)
{
    *count = 0;
    try {
        std::vector<int> all;
        const auto status = sp->processor.Encode(std::string_view(text, bytes), &all);
        if (!status.ok()) return IE_SENTENCEPIECE_FAILED;
        std::copy_n(all.begin(), std::min(capacity, all.size()), ids);
        *count = all.size();
        return IE_SENTENCEPIECE_OK;
    } catch (const std::bad_alloc &) {
        return IE_SENTENCEPIECE_NO_MEMORY;
    } catch (...) {
        return IE_SENTENCEPIECE_FAILED;
    }
}
