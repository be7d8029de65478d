/* The main of an --emit=exe program: its one model behind the shared command line. The model comes with the program's
 * object. */
#include "runtime/hosted/cli.h"

extern const burin_model burin_program_model;

int main(int argc, char **argv) { return burin_cli_main(&burin_program_model, argc, argv); }
