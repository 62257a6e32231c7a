/* wgmma.cc - wgmma: four warps multiply 64 x K by K x n into registers, K = 16 for bf16 and 32 for
 * 8-bit numbers. The operands in shared memory are read, and the results appear, at the wait for
 * the group: the latest legal moment. Eager schedules do both with the instruction.
 *
 * With w = warp in the group, g = lane / 4, t = lane % 4, register 4 j + i of d is row
 * 16 w + g + 8 (i / 2), column 8 j + 2 t + i % 2; a in registers is a 16 x K fragment of mma.sync
 * per warp.
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "descriptor.h"
#include "number.h"
#include "report.h"
#include "state.h"

#include <array>
#include <cstring>

namespace cudasim
{
static constexpr unsigned M = 64, K_MAX = 32, N_MAX = 256;

namespace
{
struct Operand { /* one thread's part of the instruction */
    float *d;
    Wgmma op;
    uint32_t a[4];
};

struct Product { /* the instruction */
    std::array<Operand, WARPGROUP> part;
    Thread *first;
    const void *pc;
};

struct Tile {
    float a[M][K_MAX], b[K_MAX][N_MAX], d[M][N_MAX];
};

/* Reads operands in chunks of 16 bytes, which every layout keeps together. */
struct Reader {
    const Product &product;
    Block &block;
    Moment by;

    void chunk(uint32_t address, float *out, unsigned step) const
    {
        if (address % 16) fail("wgmma: operand at %u is not aligned to 16 bytes", address);
        if (address + 16 > block.shared_bytes) {
            fail("wgmma: a descriptor reads at %u, beyond the %u bytes of shared memory", address,
                 block.shared_bytes);
        }
        if (race_build()) {
            race_touch(by, block.shared + address, 16, Access::async_read, product.pc);
        }
        unpack_chunk(block.shared + address, product.part[0].op.number, out, step);
    }
};
} /* namespace */

static Descriptor checked(uint64_t bits)
{
    const Descriptor d = decode(bits);
    if (d.base_offset) fail("wgmma: a descriptor with a base offset is not modelled");
    return d;
}

static void read_b(const Reader &reader, unsigned k_end, Tile &tile)
{
    const Wgmma &op = reader.product.part[0].op;
    const Descriptor d = checked(op.b_descriptor);
    const unsigned n_end = static_cast<unsigned>(op.n), size = bytes_of(op.number);
    if (op.b_mn) {
        for (unsigned k = 0; k < k_end; k++) {
            for (unsigned n = 0; n < n_end; n += 8) {
                reader.chunk(mn_major(d, n, k), &tile.b[k][n], 1);
            }
        }
        return;
    }
    for (unsigned n = 0; n < n_end; n++) {
        for (unsigned k = 0; k < k_end; k += 16 / size) {
            reader.chunk(k_major(d, n, k, size), &tile.b[k][n], N_MAX);
        }
    }
}

static void read_a(const Reader &reader, unsigned k_end, Tile &tile)
{
    const Wgmma &op = reader.product.part[0].op;
    const Descriptor d = checked(op.a_descriptor);
    const unsigned size = bytes_of(op.number);
    for (unsigned m = 0; m < M; m += op.a_mn ? 8 : 1) {
        for (unsigned k = 0; k < k_end; k += op.a_mn ? 1 : 16 / size) {
            if (op.a_mn)
                reader.chunk(mn_major(d, m, k), &tile.a[m][k], K_MAX);
            else
                reader.chunk(k_major(d, m, k, size), &tile.a[m][k], 1);
        }
    }
}

static void gather(const Product &product, Tile &tile)
{
    for (unsigned t = 0; t < WARPGROUP; t++) {
        const Operand &part = product.part[t];
        const unsigned row = 16 * (t / WARP) + t % WARP / 4, q = t % 4;
        const unsigned per = 4 / bytes_of(part.op.number);
        for (unsigned i = 0; part.op.a && i < 4; i++) {
            for (unsigned e = 0; e < per; e++) {
                tile.a[row + 8 * (i % 2)][per * q + 4 * per * (i / 2) + e] =
                    from_register(part.a[i], part.op.number, e);
            }
        }
        for (unsigned j = 0; j < static_cast<unsigned>(part.op.n) / 8; j++) {
            for (unsigned i = 0; i < 4; i++) {
                tile.d[row + 8 * (i / 2)][8 * j + 2 * q + i % 2] =
                    part.op.accumulate ? part.d[4 * j + i] : 0.0f;
            }
        }
    }
}

static void multiply(Tile &tile, unsigned k_end, unsigned n_end)
{
    for (unsigned m = 0; m < M; m++) {
        for (unsigned n0 = 0; n0 < n_end; n0 += 8) {
            float sum[8];
            std::memcpy(sum, &tile.d[m][n0], sizeof sum);
            for (unsigned k = 0; k < k_end; k++) {
                const float a = tile.a[m][k];
                for (unsigned n = 0; n < 8; n++) sum[n] += a * tile.b[k][n0 + n];
            }
            std::memcpy(&tile.d[m][n0], sum, sizeof sum);
        }
    }
}

static void perform(const Product &product)
{
    static Tile tile;
    const Wgmma &op = product.part[0].op;
    const unsigned k_end = 32 / bytes_of(op.number), n_end = static_cast<unsigned>(op.n);
    const Reader reader = {product, *product.first->block, race_now(*product.first)};
    read_b(reader, k_end, tile);
    if (!op.a) read_a(reader, k_end, tile);
    gather(product, tile);
    multiply(tile, k_end, n_end);
    for (unsigned t = 0; t < WARPGROUP; t++) {
        const unsigned row = 16 * (t / WARP) + t % WARP / 4, q = t % 4;
        for (unsigned j = 0; j < n_end / 8; j++) {
            for (unsigned i = 0; i < 4; i++) {
                product.part[t].d[4 * j + i] = tile.d[row + 8 * (i / 2)][8 * j + 2 * q + i % 2];
            }
        }
    }
}

static void check(const Meeting &meeting)
{
    const Wgmma &first = static_cast<const Operand *>(meeting.argument[0])->op;
    if (first.n < 8 || first.n > 256 || first.n % 8) fail("wgmma: n = %d", first.n);
    if (first.number != BF16 && (first.a_mn || first.b_mn)) {
        fail("wgmma: 8-bit operands are K-major");
    }
    for (const void *argument : meeting.argument) {
        const Wgmma &op = static_cast<const Operand *>(argument)->op;
        if (op.a_descriptor != first.a_descriptor || op.b_descriptor != first.b_descriptor) {
            fail("wgmma: descriptors differ inside the warpgroup");
        }
    }
}

void wgmma(float *d, const Wgmma &operation)
{
    const void *pc = CUDASIM_CALLER;
    Operand mine = {d, operation, {}};
    if (operation.a) std::memcpy(mine.a, operation.a, sizeof mine.a);
    meet_warpgroup("wgmma", &mine, pc, [pc](Meeting &meeting) {
        check(meeting);
        auto product = std::make_shared<Product>();
        product->first = meeting.thread[0];
        product->pc = pc;
        for (unsigned i = 0; i < WARPGROUP; i++) {
            product->part[i] = *static_cast<Operand *>(meeting.argument[i]);
        }
        Groups &queue = meeting.thread[0]->wgmmas;
        if (product->part[0].op.at_once || config().async == Async::eager) {
            perform(*product);
            queue.add([] {});
        } else {
            queue.add([product] { perform(*product); });
        }
    });
}

void wgmma_commit()
{
    const Thread &me = *machine.self;
    if (me.rank % WARPGROUP == 0) machine.self->wgmmas.commit();
}

/* All threads of the group come after the reads of the operands, which count as the first one's. */
static void learn_reads(Meeting &meeting)
{
    const std::vector<Moment> reads = {race_arrive(*meeting.thread[0])};
    KnownPtr before, after; /* most threads share what they know */
    for (Thread *thread : meeting.thread) {
        if (!after || thread->race.known != before) {
            before = thread->race.known;
            after = race_merge(thread->block->index, before, reads);
        }
        thread->race.known = after;
    }
}

void wgmma_wait(unsigned groups_left)
{
    meet_warpgroup("wgmma.wait_group", nullptr, CUDASIM_CALLER, [groups_left](Meeting &meeting) {
        meeting.thread[0]->wgmmas.wait(groups_left);
        if (race_build()) learn_reads(meeting);
    });
}

/* Orders registers against wgmma: the model reads them with the instruction, in order. */
void wgmma_fence()
{
}
} /* namespace cudasim */
