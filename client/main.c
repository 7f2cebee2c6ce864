#include "client/verb.h"

int main(int argc, char **argv)
{
    return pf_client_main(argc, argv);
}
