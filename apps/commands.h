/* commands.h - the subcommands, one file each. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_COMMANDS_H
#define IE_APPS_COMMANDS_H

#include "args.h"

extern const ie_command ie_command_batch;
extern const ie_command ie_command_edit;
extern const ie_command ie_command_inspect;
extern const ie_command ie_command_mask;
extern const ie_command ie_command_status;

#endif
