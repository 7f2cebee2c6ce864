/* Makes a network of the README's name, inputs and outputs that is small enough for a test.  Usage: readme_models
   PATH */
#include "tests/client/tiny_model.h"

int main(int argc, char **argv)
{
    if (argc != 2)
        return 64;
    tiny_model_image(argv[1]);
    return 0;
}
