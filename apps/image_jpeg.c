/* image_jpeg.c - JPEG files, with libjpeg-turbo.
 *
 * Reading: EXIF orientation is applied, grey becomes RGB, CMYK is refused (converting it needs its
 * profile). libjpeg goes on after damage and fills what is missing with grey: its warnings of that
 * kind are errors here. Writing: 4:4:4, so that colour edges at the mask stay sharp.
 *
 * libjpeg reports an error by a callback that must not return: it jumps to the setjmp of guarded_*.
 * Everything that must survive the jump lives in a struct of the caller's frame.
 * SPDX-License-Identifier: Apache-2.0 */
#include "image_codec.h"

#include "exif.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum {
    MAX_SCANS = 500, /* of a progressive file: a bomb repeats them, and each costs a whole pass */
    MAX_MARKER = 0xffff,
    EXIF_MARKER = JPEG_APP0 + 1,
    ICC_MARKER = JPEG_APP0 + 2,
    WRITE_BUFFER = 1 << 16,
};

/* First member of the readers and writers below, so that the manager's address is theirs. */
typedef struct jpeg_errors {
    struct jpeg_error_mgr manager;
    jmp_buf escape;
    char text[JMSG_LENGTH_MAX];
    bool bad_profile;
    int native; /* errno of a failed write */
} jpeg_errors;

static _Noreturn void on_error(j_common_ptr jpeg)
{
    jpeg_errors *errors = (jpeg_errors *)jpeg->err;
    if (errors->text[0] == '\0') errors->manager.format_message(jpeg, errors->text);
    longjmp(errors->escape, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    jpeg_errors *errors = (jpeg_errors *)jpeg->err;
    if (level >= 0) return; /* a trace, not a warning */
    switch (errors->manager.msg_code) {
    case JWRN_BOGUS_ICC: errors->bad_profile = true; return;
    case JWRN_ADOBE_XFORM:     /* an unknown transform flag: libjpeg's guess is everybody's */
    case JWRN_EXTRANEOUS_DATA: /* padding between markers, which some cameras write */
    case JWRN_JFIF_MAJOR: return;
    default: on_error(jpeg); /* truncated or corrupt */
    }
}

static struct jpeg_error_mgr *set_errors(jpeg_errors *errors)
{
    struct jpeg_error_mgr *manager = jpeg_std_error(&errors->manager);
    manager->error_exit = on_error;
    manager->emit_message = on_message;
    return manager;
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct jpeg_reader {
    jpeg_errors errors;
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr progress;
    const ie_encoded *file;
    ie_image *image;
    ie_status status; /* of what is ours */
    ie_error *err;
    int orientation;
    JOCTET *icc;
} jpeg_reader;

static void on_progress(j_common_ptr jpeg)
{
    if (((j_decompress_ptr)jpeg)->input_scan_number > MAX_SCANS) {
        jpeg_errors *errors = (jpeg_errors *)jpeg->err;
        (void)snprintf(errors->text, sizeof errors->text, "more than %d scans", MAX_SCANS);
        on_error(jpeg);
    }
}

static int find_orientation(const struct jpeg_decompress_struct *jpeg)
{
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next) {
        if (m->marker == EXIF_MARKER && m->data_length > 6 && !memcmp(m->data, "Exif\0\0", 6)) {
            return ie_exif_orientation(m->data, m->data_length);
        }
    }
    return 1;
}

static ie_status read_header(jpeg_reader *r)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    (void)jpeg_read_header(jpeg, TRUE);
    IE_APP_TRY(ie_image_check_size(jpeg->image_width, jpeg->image_height, r->file, r->err));
    if (jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK) {
        return ie_app_fail(r->err, IE_BAD_INPUT,
                           "%s is a CMYK JPEG: convert it to RGB with its colour profile first",
                           r->file->name);
    }
    r->orientation = find_orientation(jpeg);
    unsigned icc_bytes = 0;
    if (jpeg_read_icc_profile(jpeg, &r->icc, &icc_bytes)) {
        IE_APP_TRY(ie_image_keep_icc(r->image, r->icc, icc_bytes, r->err));
    } else if (r->errors.bad_profile) {
        (void)snprintf(r->image->note, sizeof r->image->note,
                       "its colour profile is damaged and is left out");
    }
    return ie_image_allocate(r->image, jpeg->image_width, jpeg->image_height, 3, 8, r->file,
                             r->err);
}

/* Everything that can jump. */
static void read_all(jpeg_reader *r)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    jpeg_create_decompress(jpeg);
    r->progress.progress_monitor = on_progress;
    jpeg->progress = &r->progress;
    jpeg_mem_src(jpeg, r->file->data, (unsigned long)r->file->bytes);
    jpeg_save_markers(jpeg, EXIF_MARKER, MAX_MARKER);
    jpeg_save_markers(jpeg, ICC_MARKER, MAX_MARKER);
    r->status = read_header(r);
    if (r->status != IE_OK) return;
    jpeg->out_color_space = JCS_RGB;
    jpeg->dct_method = JDCT_ISLOW; /* the accurate one, and the same bits on every machine */
    (void)jpeg_start_decompress(jpeg);
    const ie_pixels *pixels = &r->image->pixels;
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = (JSAMPROW)pixels->data + (size_t)jpeg->output_scanline * pixels->row_bytes;
        (void)jpeg_read_scanlines(jpeg, &row, 1);
    }
    (void)jpeg_finish_decompress(jpeg);
}

/* False when libjpeg jumped. Nothing of this frame changes after setjmp. */
static bool guarded_read(jpeg_reader *r)
{
    if (setjmp(r->errors.escape)) return false;
    read_all(r);
    return true;
}

ie_status ie_jpeg_decode(ie_image *out, const ie_encoded *file, ie_error *err)
{
    jpeg_reader r = {.file = file, .image = out, .err = err, .orientation = 1};
    r.jpeg.err = set_errors(&r.errors);
    if (!guarded_read(&r)) {
        const bool memory = r.errors.manager.msg_code == JERR_OUT_OF_MEMORY;
        r.status = ie_app_fail(err, memory ? IE_NO_MEMORY : IE_BAD_INPUT,
                               "%s is not a sound JPEG: %s", file->name, r.errors.text);
    }
    jpeg_destroy_decompress(&r.jpeg);
    free(r.icc);
    if (r.status == IE_OK) r.status = ie_image_orient(out, r.orientation, err);
    return r.status;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* libjpeg's own stdio destination ends in a bare "file write error": this one keeps errno. */
typedef struct jpeg_writer {
    jpeg_errors errors;
    struct jpeg_compress_struct jpeg;
    struct jpeg_destination_mgr destination;
    JOCTET buffer[WRITE_BUFFER];
    FILE *stream;
    const ie_image *image;
    int quality;
} jpeg_writer;

static void reset_buffer(j_compress_ptr jpeg)
{
    jpeg_writer *w = (jpeg_writer *)jpeg->err;
    w->destination.next_output_byte = w->buffer;
    w->destination.free_in_buffer = WRITE_BUFFER;
}

static void write_buffer(jpeg_writer *w, size_t bytes)
{
    if (fwrite(w->buffer, 1, bytes, w->stream) != bytes) {
        (void)snprintf(w->errors.text, sizeof w->errors.text, "%s", strerror(errno));
        on_error((j_common_ptr)&w->jpeg);
    }
}

static boolean on_buffer_full(j_compress_ptr jpeg)
{
    write_buffer((jpeg_writer *)jpeg->err, WRITE_BUFFER);
    reset_buffer(jpeg);
    return TRUE;
}

static void on_end(j_compress_ptr jpeg)
{
    jpeg_writer *w = (jpeg_writer *)jpeg->err;
    write_buffer(w, WRITE_BUFFER - w->destination.free_in_buffer);
}

/* Everything that can jump. */
static void write_all(jpeg_writer *w)
{
    struct jpeg_compress_struct *jpeg = &w->jpeg;
    const ie_pixels *pixels = &w->image->pixels;
    jpeg_create_compress(jpeg);
    w->destination = (struct jpeg_destination_mgr){.init_destination = reset_buffer,
                                                   .empty_output_buffer = on_buffer_full,
                                                   .term_destination = on_end};
    jpeg->dest = &w->destination;
    jpeg->image_width = (JDIMENSION)pixels->width;
    jpeg->image_height = (JDIMENSION)pixels->height;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, w->quality, TRUE);
    jpeg->comp_info[0].h_samp_factor = jpeg->comp_info[0].v_samp_factor = 1; /* 4:4:4 */
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->optimize_coding = TRUE;
    jpeg_start_compress(jpeg, TRUE);
    const ie_colour *colour = &w->image->colour;
    if (colour->icc) jpeg_write_icc_profile(jpeg, colour->icc, (unsigned)colour->icc_bytes);
    while (jpeg->next_scanline < jpeg->image_height) {
        JSAMPROW row = (JSAMPROW)pixels->data + (size_t)jpeg->next_scanline * pixels->row_bytes;
        (void)jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
}

static bool guarded_write(jpeg_writer *w)
{
    if (setjmp(w->errors.escape)) return false;
    write_all(w);
    return true;
}

ie_status ie_jpeg_encode(ie_image *image, FILE *stream, const ie_write_options *options,
                         const char *path, ie_error *err)
{
    jpeg_writer *w = calloc(1, sizeof *w);
    if (!w) return ie_app_fail(err, IE_NO_MEMORY, "no memory to write %s", path);
    w->stream = stream;
    w->image = image;
    w->quality = options->quality;
    w->jpeg.err = set_errors(&w->errors);
    ie_status status = IE_OK;
    if (!guarded_write(w)) {
        status = ie_app_fail(err, IE_IO, "cannot write %s: %s", path, w->errors.text);
    }
    jpeg_destroy_compress(&w->jpeg);
    free(w);
    return status;
}
