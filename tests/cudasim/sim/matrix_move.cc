/* matrix_move.cc - ldmatrix and stmatrix: 8x8 matrices of 16-bit elements between shared memory
 * and registers. Lane l of a fragment holds elements 2 (l % 4) and the next of row l / 4; lanes
 * 8 i to 8 i + 7 give the addresses of the rows of matrix i.
 * SPDX-License-Identifier: Apache-2.0 */
#include "report.h"
#include "state.h"

#include <cstring>

namespace cudasim
{
namespace
{
struct Move {
    uint32_t row;
    uint32_t *registers;
    int count;
    bool transposed;
};
} /* namespace */

static unsigned char *row_of(Meeting &meeting, int lane, Access access, const void *pc)
{
    const auto *move = static_cast<Move *>(meeting.argument[lane]);
    if (move->row % 16) fail("ldmatrix or stmatrix: row at %u, not aligned to 16", move->row);
    return shared_of(race_now(*meeting.thread[lane]), move->row, 16, access, pc);
}

/* Where half h of lane l's register lies in the rows of its matrix. */
static unsigned char *element(unsigned char *const (&rows)[8], int lane, int half, bool transposed)
{
    const int row = lane / 4, column = 2 * (lane % 4) + half;
    return transposed ? rows[column] + 2 * row : rows[row] + 2 * column;
}

static void move_all(Meeting &meeting, bool store, const void *pc)
{
    const Move first = *static_cast<Move *>(meeting.argument[0]);
    for (int matrix = 0; matrix < first.count; matrix++) {
        unsigned char *rows[8];
        for (int i = 0; i < 8; i++) {
            rows[i] = row_of(meeting, 8 * matrix + i, store ? Access::write : Access::read, pc);
        }
        for (int lane = 0; lane < 32; lane++) {
            uint32_t &value = static_cast<Move *>(meeting.argument[lane])->registers[matrix];
            uint16_t halves[2];
            if (store) std::memcpy(halves, &value, 4);
            for (int half = 0; half < 2; half++) {
                unsigned char *at = element(rows, lane, half, first.transposed);
                if (store)
                    std::memcpy(at, &halves[half], 2);
                else
                    std::memcpy(&halves[half], at, 2);
            }
            if (!store) std::memcpy(&value, halves, 4);
        }
    }
}

void ldmatrix(uint32_t *registers, uint32_t row, int count, bool transposed)
{
    const void *pc = CUDASIM_CALLER;
    Move mine = {row, registers, count, transposed};
    meet_warp(~0u, "ldmatrix", &mine, pc, [pc](Meeting &meeting) { move_all(meeting, false, pc); });
}

void stmatrix(uint32_t row, const uint32_t *registers, int count, bool transposed)
{
    const void *pc = CUDASIM_CALLER;
    uint32_t copy[4] = {};
    std::memcpy(copy, registers, sizeof(uint32_t) * static_cast<size_t>(count));
    Move mine = {row, copy, count, transposed};
    meet_warp(~0u, "stmatrix", &mine, pc, [pc](Meeting &meeting) { move_all(meeting, true, pc); });
}
} /* namespace cudasim */
