/* config.h - which of the legal orders a run takes, from the environment or from a test.
 *   CUDASIM_SCHED=fwd|rev|rand    which ready thread runs next
 *   CUDASIM_ASYNC=lazy|eager|rand when an asynchronous operation takes effect: as late as is legal,
 *                                 at once, or in between
 *   CUDASIM_SEED=n                of what is random
 * and which chip it is, for the environment alone:
 *   CUDASIM_ARCH=90               its compute capability, times ten: 80, 89, 90, 100, 120
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_CONFIG_H
#define CUDASIM_CONFIG_H

#include <cstddef>
#include <cstdint>

namespace cudasim
{
enum class Order { forward, reverse, random };
enum class Async { lazy, eager, random };

struct Config {
    Order order = Order::forward;
    Async async = Async::lazy;
    uint64_t seed = 1;
};
Config &config();
bool config_is_given(); /* the environment sets an order */

int arch();           /* of the simulated device */
size_t shared_most(); /* dynamic shared memory that a block of it can have */

uint64_t random_bits(); /* of the running grid: the same from run to run */
void random_start(uint64_t launch);
} /* namespace cudasim */

#endif
