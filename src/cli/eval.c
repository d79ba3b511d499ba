#include "cli/command.h"
const tr_command tr_command_eval = {.text={.name="tune",.summary=""}};
