/* replay.c - feeds a fuzz target the files of a folder, in builds without libFuzzer: what a fuzzer
 * once found stays tested. SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

/* A block of exactly the file's size, so that AddressSanitizer sees one byte too far. */
static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    uint8_t *data = NULL;
    long size = -1;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0) {
        rewind(file);
        data = malloc(size ? (size_t)size : 1);
    }
    const int bad = !data || fread(data, 1, (size_t)size, file) != (size_t)size;
    fclose(file);
    if (!bad) {
        LLVMFuzzerTestOneInput(data, (size_t)size);
    } else {
        fprintf(stderr, "%s cannot be read\n", path);
    }
    free(data);
    return bad;
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    int count = 0, bad = 0;
    if (!folder) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    for (const struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        char path[4096];
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        bad += replay(path);
        count++;
    }
    closedir(folder);
    printf("%d inputs\n", count);
    return bad || count == 0; /* a folder without inputs tests nothing */
}
