#include "cli/command.h"
const tr_command tr_command_tune = {.text={.name="tune",.summary=""}};
