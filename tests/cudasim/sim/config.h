/* config.h - which of the legal orders a run takes, from the environment or from a test.
 *   CUDASIM_SCHED=fwd|rev|rand    which ready thread runs next
 *   CUDASIM_ASYNC=lazy|eager|rand when an asynchronous operation takes effect: as late as is legal,
 *                                 at once, or in between
 *   CUDASIM_SEED=n                of what is random
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_CONFIG_H
#define CUDASIM_CONFIG_H

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
bool config_is_given(); /* the environment sets one of them */

uint64_t random_bits(); /* of the running grid: the same from run to run */
void random_start(uint64_t launch);
} /* namespace cudasim */

#endif
