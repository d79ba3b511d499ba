/* This file is the program's entry: it finds the command and runs it. */
#include <stdio.h>
int main(void)
{
    puts("tallrec " "0.1.0");
    return 0;
}
