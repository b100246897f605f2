/* One chain of convolutions, forward and backward, in float32 on one thread.

   3x3 from c to w channels, LeakyReLU, any number of 3x3 from w to w with LeakyReLU, 1x1 back to c channels; zero padding.
   The w-to-w layers use Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural
   Networks", CVPR 2016): 36 products of matrices instead of 144 multiplications for each 4x4 tile, a quarter of the arithmetic.
   The same holds for the gradient of the input (a convolution with turned kernels) and for that of the weights.

   Plain C with vectors of LANES floats, an extension of GCC and Clang; no Python, no libraries. avx2.c and its neighbours set
   LANES and include this file. No function keeps state: many threads may call them at once, each with buffers of its own. All
   buffers are float32.

   Layout of activations: (h, w, channels), with a border of zeros that is never written, one pixel above and to the left, and as
   many below and to the right as complete the last tile and its halo. Channels are filled up with zeros to a multiple of LANES. */

#include <stddef.h>

typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int mask __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

#define ALWAYS static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

enum {
    ROWS = LANES == 16 ? 8 : 4, /* of a block of a product that stays in registers; ROWS * COLUMNS vectors */
    COLUMNS = 3,                /* vectors */
    TILES = 32,                 /* tiles that are transformed and multiplied together: their transforms stay in the L2 cache */
    POINTS = 36,                /* of a transformed tile */
    BAND = 512                  /* tiles, about: see chain_bands */
};

typedef struct {
    long channels, width, inner; /* at most 4 channels; inner: number of w-to-w layers */
    long residual;               /* whether the chain's output is subtracted from its input */
    float slope;                 /* of the LeakyReLU, not negative: its sign is taken from its result */
} Chain;

typedef struct { /* of one image; see the layout above */
    long height, width, tiles_y, tiles_x, row, plane;
} Frame;

typedef struct {
    long first, end; /* rows of pixels, or tiles */
} Rows;

ALWAYS long up(long n, long to) { return (n + to - 1) / to * to; }
ALWAYS vec load(const float *from) { return *(const vec *)from; }
ALWAYS void store(float *to, vec value) { *(vec *)to = value; }
ALWAYS long padded(const Chain *chain) { return up(chain->width, LANES); }
ALWAYS long stride_of_point(long wide) { return TILES * wide + 16; } /* 16: no power of two, which would share cache sets */

ALWAYS Frame frame_of(const Chain *chain, long height, long width) {
    Frame f = {height, width, (height + 3) / 4, (width + 3) / 4, 0, 0};
    f.row = (4 * f.tiles_x + 2) * padded(chain);
    f.plane = (4 * f.tiles_y + 2) * f.row;
    return f;
}

/* The image with its border of zeros, channel by channel. Rows have room for whole blocks of ROWS pixels. */
ALWAYS long row_of_image(long width) { return up(width, ROWS) + 2; }
ALWAYS long plane_of_image(long height, long width) { return (height + 2) * row_of_image(width); }
ALWAYS long image_room(const Chain *c, long h, long w) { return up(c->channels * plane_of_image(h, w), 16); }

/* Channels of an activation, with those that fill up the last vector. */
long chain_wide(const Chain *chain) { return padded(chain); }

/* Floats that one image needs from the forward to the backward pass. Must be zero when first used. */
long chain_saved(const Chain *chain, long height, long width) {
    return image_room(chain, height, width) + (chain->inner + 1) * up(frame_of(chain, height, width).plane, 16);
}

/* Floats of the weights as the passes want them: first layer, transforms forward, transforms backward, last layer. */
long chain_packed(const Chain *chain) {
    long wide = padded(chain);
    return (9 * chain->channels + 1) * wide + chain->inner * (2 * POINTS * wide + 1) * wide + chain->channels * (wide + 16);
}

/* Floats of the sums of the gradients in the layout of the passes. Must be zero before the first image. */
long chain_sums(const Chain *chain) {
    long wide = padded(chain);
    return (9 * chain->channels + 1) * wide + chain->inner * (POINTS * wide + 1) * wide + chain->channels * (wide + 16);
}

/* Floats of scratch memory. */
long chain_scratch(const Chain *chain) { return 2 * POINTS * stride_of_point(padded(chain)); }

/* --- The transforms, for a vector of channels --- */

ALWAYS void input_points(const vec d[6], vec out[6]) {
    vec a = d[4] - 4.0f * d[2], b = d[3] - 4.0f * d[1], c = d[4] - d[2], e = 2.0f * (d[3] - d[1]);
    out[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
    out[1] = a + b;
    out[2] = a - b;
    out[3] = c + e;
    out[4] = c - e;
    out[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
}

ALWAYS void output_points(const vec m[6], vec out[4]) {
    vec s = m[1] + m[2], d = m[1] - m[2], u = m[3] + m[4], v = m[3] - m[4];
    out[0] = m[0] + s + u;
    out[1] = d + 2.0f * v;
    out[2] = s + 4.0f * u;
    out[3] = d + 8.0f * v + m[5];
}

ALWAYS void gradient_points(const vec g[4], vec out[6]) {
    vec a = g[0] + g[2], b = g[1] + g[3], u = g[0] + 4.0f * g[2], v = 2.0f * g[1] + 8.0f * g[3];
    out[0] = g[0];
    out[1] = a + b;
    out[2] = a - b;
    out[3] = u + v;
    out[4] = u - v;
    out[5] = g[3];
}

ALWAYS void weight_points(const vec w[3], vec out[6]) {
    vec outer = w[0] + w[2], far = w[0] + 4.0f * w[2];
    out[0] = w[0] * 0.25f;
    out[1] = (outer + w[1]) * (-1 / 6.0f);
    out[2] = (outer - w[1]) * (-1 / 6.0f);
    out[3] = (far + 2.0f * w[1]) * (1 / 24.0f);
    out[4] = (far - 2.0f * w[1]) * (1 / 24.0f);
    out[5] = w[2];
}

ALWAYS void weight_gradient(const vec u[6], vec out[3]) { /* the transposed of weight_points */
    vec s = (u[1] + u[2]) * (-1 / 6.0f), d = (u[2] - u[1]) * (1 / 6.0f);
    vec p = (u[3] + u[4]) * (1 / 24.0f), q = (u[3] - u[4]) * (1 / 12.0f);
    out[0] = 0.25f * u[0] + s + p;
    out[1] = d + q;
    out[2] = s + 4.0f * p + u[5];
}

/* Transform tiles first .. first + count of an activation with size x size pixels each: 6 of an input, 4 of a gradient of an output. */
ALWAYS void transform(int size, void points(const vec *, vec *), const Frame *f, long wide, const float *from, long first, long count, float *to) {
    long step = stride_of_point(wide), margin = size == 4; /* of the halo that outputs do not have */
    for (long t = 0; t < count; t++) {
        long y = (first + t) / f->tiles_x, x = (first + t) % f->tiles_x;
        const float *tile = from + (4 * y + margin) * f->row + (4 * x + margin) * wide;
        for (long c = 0; c < wide; c += LANES) {
            vec half[6][6];
            UNROLL for (int j = 0; j < size; j++) {
                vec column[6], out[6];
                UNROLL for (int i = 0; i < size; i++) column[i] = load(tile + i * f->row + j * wide + c);
                points(column, out);
                UNROLL for (int i = 0; i < 6; i++) half[i][j] = out[i];
            }
            UNROLL for (int i = 0; i < 6; i++) {
                vec out[6];
                points(half[i], out);
                UNROLL for (int j = 0; j < 6; j++) store(to + (6 * i + j) * step + t * wide + c, out[j]);
            }
        }
    }
}

static void transform_inputs(const Frame *f, long wide, const float *from, long first, long count, float *to) {
    transform(6, input_points, f, wide, from, first, count, to);
}

static void transform_gradients(const Frame *f, long wide, const float *from, long first, long count, float *to) {
    transform(4, gradient_points, f, wide, from, first, count, to);
}

ALWAYS void output_tile(const float *from, long step, vec out[4][4]) {
    vec half[4][6];
    UNROLL for (int j = 0; j < 6; j++) {
        vec column[6], back[4];
        UNROLL for (int i = 0; i < 6; i++) column[i] = load(from + (6 * i + j) * step);
        output_points(column, back);
        UNROLL for (int i = 0; i < 4; i++) half[i][j] = back[i];
    }
    UNROLL for (int i = 0; i < 4; i++) output_points(half[i], out[i]);
}

ALWAYS vec choose(vec sign, vec positive, vec other) {
    mask is = sign > 0.0f;
    return (vec)((is & (mask)positive) | (~is & (mask)other));
}

ALWAYS long least(long a, long b) { return a < b ? a : b; }

/* Back from the transform, plus bias, activated. */
static void write_outputs(const Chain *chain, const Frame *f, const float *from, const float *bias, long first, long count, float *to) {
    long wide = padded(chain), step = stride_of_point(wide);
    for (long t = 0; t < count; t++) {
        long y = 4 * ((first + t) / f->tiles_x), x = 4 * ((first + t) % f->tiles_x);
        long rows = least(4, f->height - y), columns = least(4, f->width - x);
        float *tile = to + (y + 1) * f->row + (x + 1) * wide;
        for (long c = 0; c < wide; c += LANES) {
            vec out[4][4], b = load(bias + c);
            output_tile(from + t * wide + c, step, out);
            UNROLL for (int i = 0; i < 4; i++) UNROLL for (int j = 0; j < 4; j++) {
                vec z = out[i][j] + b;
                z = choose(z, z, chain->slope * z);
                if (i < rows && j < columns) store(tile + i * f->row + j * wide + c, z);
            }
        }
    }
}

/* Back from the transform, through the activation whose results are in `to`, which they replace; adds up the bias's gradient. */
static void write_gradients(const Chain *chain, const Frame *f, const float *from, float *bias, long first, long count, float *to) {
    long wide = padded(chain), step = stride_of_point(wide);
    for (long t = 0; t < count; t++) {
        long y = 4 * ((first + t) / f->tiles_x), x = 4 * ((first + t) % f->tiles_x);
        long rows = least(4, f->height - y), columns = least(4, f->width - x);
        float *tile = to + (y + 1) * f->row + (x + 1) * wide;
        for (long c = 0; c < wide; c += LANES) {
            vec out[4][4], sum = load(bias + c);
            output_tile(from + t * wide + c, step, out);
            UNROLL for (int i = 0; i < 4; i++) UNROLL for (int j = 0; j < 4; j++) if (i < rows && j < columns) {
                float *pixel = tile + i * f->row + j * wide + c;
                vec z = choose(load(pixel), out[i][j], chain->slope * out[i][j]);
                sum += z;
                store(pixel, z);
            }
            store(bias + c, sum);
        }
    }
}

/* --- Products --- */

/* out[r][j] (+)= sum over k of left[r][k] * right[k][j], for ROWS rows and n vectors. Strides of left: rows, k. */
ALWAYS void block(int n, long depth, const float *left, long row, long along, const float *right, long next, float *out, long line, int add) {
    vec sum[ROWS][COLUMNS];
    UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int j = 0; j < n; j++) sum[r][j] = add ? load(out + r * line + j * LANES) : (vec){0};
    for (long k = 0; k < depth; k++) {
        vec b[COLUMNS];
        UNROLL for (int j = 0; j < n; j++) b[j] = load(right + k * next + j * LANES);
        UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int j = 0; j < n; j++) sum[r][j] += left[r * row + k * along] * b[j];
    }
    UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int j = 0; j < n; j++) store(out + r * line + j * LANES, sum[r][j]);
}

#define BY_COLUMNS(wide, c, n, call)                                   \
    for (long c = 0; c < (wide);) {                                    \
        long left_over = ((wide)-c) / LANES;                           \
        if (left_over >= 3) { enum { n = 3 }; call; c += 3 * LANES; }  \
        else if (left_over == 2) { enum { n = 2 }; call; c += 2 * LANES; } \
        else { enum { n = 1 }; call; c += LANES; }                     \
    }

/* to[t] = from[t] times the transformed weights, at each of the 36 points. */
static void multiply(long wide, const float *from, const float *weights, long count, float *to) {
    long step = stride_of_point(wide);
    for (long p = 0; p < POINTS; p++) {
        const float *a = from + p * step, *b = weights + p * wide * wide;
        float *out = to + p * step;
        BY_COLUMNS(wide, c, n, for (long t = 0; t < count; t += ROWS) block(n, wide, a + t * wide, wide, 1, b + c * wide, n * LANES, out + t * wide + c, wide, 0))
    }
}

/* sums[o][i] += gradients[t][o] * inputs[t][i], summed over tiles, at each of the 36 points. */
static void add_products(long wide, const float *gradients, const float *inputs, long count, float *sums) {
    long step = stride_of_point(wide);
    for (long p = 0; p < POINTS; p++) {
        const float *a = gradients + p * step, *b = inputs + p * step;
        float *out = sums + p * wide * wide;
        BY_COLUMNS(wide, c, n, for (long o = 0; o < wide; o += ROWS) block(n, count, a + o, 1, wide, b + c, wide, out + o * wide + c, wide, 1))
    }
}

/* --- Weights in and out. A row has, layer by layer, kernels (out, y, x, in), then biases (out). --- */

typedef struct {
    float *first, *first_bias, *inner, *last, *last_bias;
} Parts;

ALWAYS Parts parts_of(const Chain *chain, float *packed, long transforms) {
    long wide = padded(chain);
    Parts p = {packed, 0, 0, 0, 0};
    p.first_bias = p.first + 9 * chain->channels * wide;
    p.inner = p.first_bias + wide;
    p.last = p.inner + chain->inner * (transforms * POINTS * wide + 1) * wide;
    p.last_bias = p.last + chain->channels * wide;
    return p;
}

static void pack_inner(const Chain *chain, const float *kernels, float *forward, float *backward) {
    long width = chain->width, wide = padded(chain);
    for (long i = 0; i < width; i += LANES) /* outside, so that the rows that `forward` scatters to stay in the caches */
        for (long o = 0; o < width; o++) {
            vec w[3][3] = {{{0}}}, half[6][3], out[6];
            for (int y = 0; y < 3; y++) for (int x = 0; x < 3; x++) {
                const float *from = kernels + ((o * 3 + y) * 3 + x) * width + i;
                if (i + LANES <= width) w[y][x] = load(from);
                else for (int l = 0; l < LANES; l++) w[y][x][l] = i + l < width ? from[l] : 0;
            }
            for (int x = 0; x < 3; x++) {
                vec column[3] = {w[0][x], w[1][x], w[2][x]};
                weight_points(column, out);
                for (int y = 0; y < 6; y++) half[y][x] = out[y];
            }
            /* Panels of up to COLUMNS vectors, as `multiply` reads them. */
            long panel = o / (COLUMNS * LANES) * COLUMNS * LANES, panel_width = least(COLUMNS * LANES, wide - panel);
            long other = i / (COLUMNS * LANES) * COLUMNS * LANES, other_width = least(COLUMNS * LANES, wide - other);
            for (int y = 0; y < 6; y++) {
                weight_points(half[y], out);
                for (int x = 0; x < 6; x++) {
                    float *to = forward + (6 * y + x) * wide * wide + panel * wide + i * panel_width + (o - panel);
                    UNROLL for (int l = 0; l < LANES; l++) to[l * panel_width] = out[x][l];
                }
            }
            if (!backward) continue;
            for (int x = 0; x < 3; x++) {
                vec column[3] = {w[2][2 - x], w[1][2 - x], w[0][2 - x]};
                weight_points(column, out);
                for (int y = 0; y < 6; y++) half[y][x] = out[y];
            }
            for (int y = 0; y < 6; y++) {
                weight_points(half[y], out);
                for (int x = 0; x < 6; x++)
                    store(backward + (6 * y + x) * wide * wide + other * wide + o * other_width + (i - other), out[x]);
            }
        }
}

/* Bring a row of weights into the layout of the passes. `packed` must be zero when first used. */
void chain_pack(const Chain *chain, const float *row, float *packed, int backward) {
    long wide = padded(chain), width = chain->width, channels = chain->channels;
    Parts p = parts_of(chain, packed, 2);
    for (long o = 0; o < width; o++) for (long k = 0; k < 9; k++) for (long c = 0; c < channels; c++)
        p.first[(c * 9 + k) * wide + o] = row[(o * 9 + k) * channels + c];
    row += width * 9 * channels;
    for (long o = 0; o < width; o++) p.first_bias[o] = *row++;
    for (long l = 0; l < chain->inner; l++) {
        float *forward = p.inner + l * (2 * POINTS * wide + 1) * wide, *bias = forward + 2 * POINTS * wide * wide;
        pack_inner(chain, row, forward, backward ? forward + POINTS * wide * wide : 0);
        row += width * width * 9;
        for (long o = 0; o < width; o++) bias[o] = *row++;
    }
    for (long c = 0; c < channels; c++) for (long i = 0; i < width; i++) p.last[c * wide + i] = *row++;
    for (long c = 0; c < channels; c++) p.last_bias[c] = *row++;
}

/* Write the sums of the gradients as a row like that of the weights. */
void chain_unpack(const Chain *chain, float *sums, float *row) {
    long wide = padded(chain), width = chain->width, channels = chain->channels;
    Parts p = parts_of(chain, sums, 1);
    for (long o = 0; o < width; o++) for (long k = 0; k < 9; k++) for (long c = 0; c < channels; c++)
        row[(o * 9 + k) * channels + c] = p.first[(c * 9 + k) * wide + o];
    row += width * 9 * channels;
    for (long o = 0; o < width; o++) *row++ = p.first_bias[o];
    for (long l = 0; l < chain->inner; l++) {
        float *from = p.inner + l * (POINTS * wide + 1) * wide;
        for (long o = 0; o < width; o++) for (long i = 0; i < width; i += LANES) {
            vec half[3][6], out[3];
            for (int x = 0; x < 6; x++) {
                vec column[6];
                for (int y = 0; y < 6; y++) column[y] = load(from + (6 * y + x) * wide * wide + o * wide + i);
                weight_gradient(column, out);
                for (int y = 0; y < 3; y++) half[y][x] = out[y];
            }
            for (int y = 0; y < 3; y++) {
                weight_gradient(half[y], out);
                for (int x = 0; x < 3; x++) for (int l = 0; l < LANES && i + l < width; l++)
                    row[((o * 3 + y) * 3 + x) * width + i + l] = out[x][l];
            }
        }
        row += width * width * 9;
        for (long o = 0; o < width; o++) *row++ = from[POINTS * wide * wide + o];
    }
    for (long c = 0; c < channels; c++) for (long i = 0; i < width; i++) *row++ = p.last[c * wide + i];
    for (long c = 0; c < channels; c++) *row++ = p.last_bias[c];
}

/* --- First and last layer --- */

static void frame_image(const Chain *chain, const float *image, const long strides[3], long height, long width, float *to) {
    long row = row_of_image(width), plane = plane_of_image(height, width);
    for (long c = 0; c < chain->channels; c++) for (long y = 0; y < height; y++) for (long x = 0; x < width; x++)
        to[c * plane + (y + 1) * row + x + 1] = image[c * strides[0] + y * strides[1] + x * strides[2]];
}

static void first_layer(const Chain *chain, const Frame *f, const float *image, const float *weights, const float *bias, Rows rows, float *to) {
    long wide = padded(chain), row = row_of_image(f->width), plane = plane_of_image(f->height, f->width);
    for (long y = rows.first; y < rows.end; y++)
        for (long x = 0; x < f->width; x += ROWS) {
            long count = least(ROWS, f->width - x);
            float *out = to + (y + 1) * f->row + (x + 1) * wide;
#define FIRST(n) { \
                vec sum[ROWS][COLUMNS]; \
                UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int j = 0; j < n; j++) sum[r][j] = load(bias + c + j * LANES); \
                const float *w = weights + c; \
                for (long k = 0; k < chain->channels; k++) for (int ky = 0; ky < 3; ky++) { \
                    const float *p = image + k * plane + (y + ky) * row + x; \
                    UNROLL for (int kx = 0; kx < 3; kx++, w += wide) { \
                        UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int j = 0; j < n; j++) sum[r][j] += p[kx + r] * load(w + j * LANES); \
                    } \
                } \
                UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int j = 0; j < n; j++) \
                    if (r < count) store(out + r * wide + c + j * LANES, choose(sum[r][j], sum[r][j], chain->slope * sum[r][j])); \
            }
            BY_COLUMNS(wide, c, n, FIRST(n))
        }
}

/* Adds the gradient of the first layer's weights, from that of its sums in `from`. */
static void first_weights(const Chain *chain, const Frame *f, const float *image, const float *from, Rows rows, float *sums) {
    long wide = padded(chain), row = row_of_image(f->width), plane = plane_of_image(f->height, f->width), kernels = 9 * chain->channels;
    for (long y = rows.first; y < rows.end; y++) {
        const float *gradient = from + (y + 1) * f->row + wide;
        for (long k = 0; k < kernels; k += ROWS) {
            const float *p[ROWS];
            UNROLL for (int r = 0; r < ROWS; r++) {
                long q = least(k + r, kernels - 1);
                p[r] = image + q / 9 * plane + (y + q % 9 / 3) * row + q % 3;
            }
#define FIRST_WEIGHTS(n) { \
                vec sum[ROWS][COLUMNS]; \
                UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int j = 0; j < n; j++) sum[r][j] = (vec){0}; \
                for (long x = 0; x < f->width; x++) { \
                    UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int j = 0; j < n; j++) sum[r][j] += p[r][x] * load(gradient + x * wide + c + j * LANES); \
                } \
                UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int j = 0; j < n; j++) if (k + r < kernels) { \
                    float *to = sums + (k + r) * wide + c + j * LANES; \
                    store(to, load(to) + sum[r][j]); \
                } \
            }
            BY_COLUMNS(wide, c, n, FIRST_WEIGHTS(n))
        }
    }
}

ALWAYS float total(vec v) {
    float sum = 0;
    UNROLL for (int l = 0; l < LANES; l++) sum += v[l];
    return sum;
}

static void last_layer(const Chain *chain, const Frame *f, const float *image, const float *from, const float *weights, const float *bias, Rows rows, float *out) {
    long wide = padded(chain), plane = f->height * f->width, row = row_of_image(f->width), framed = plane_of_image(f->height, f->width);
    for (long y = rows.first; y < rows.end; y++) for (long x = 0; x < f->width; x++) {
        const float *pixel = from + (y + 1) * f->row + (x + 1) * wide;
        for (long c = 0; c < chain->channels; c++) {
            vec sum = {0};
            for (long i = 0; i < wide; i += LANES) sum += load(pixel + i) * load(weights + c * wide + i);
            float made = bias[c] + total(sum);
            out[c * plane + y * f->width + x] = chain->residual ? image[c * framed + (y + 1) * row + x + 1] - made : made;
        }
    }
}

/* Gradients of the last layer's weights, and in place of the activations in `at` the gradient of the sums before them. */
static void last_backward(const Chain *chain, const Frame *f, const float *gradient, const float *weights, float *at, Rows rows, Parts sums, float *bias) {
    long wide = padded(chain), plane = f->height * f->width, channels = chain->channels;
    float sign = chain->residual ? -1 : 1;
    for (long c = 0; c < channels; c++) {
        float sum = 0;
        for (long i = rows.first * f->width; i < rows.end * f->width; i++) sum += gradient[c * plane + i];
        sums.last_bias[c] += sign * sum;
    }
    for (long y = rows.first; y < rows.end; y++) {
        const float *g = gradient + y * f->width;
        float *pixels = at + (y + 1) * f->row + wide;
        for (long i = 0; i < wide; i += LANES) {
            vec of_bias = load(bias + i), of_weight[4] = {0}, weight[4] = {0};
            for (long c = 0; c < channels; c++) {
                of_weight[c] = load(sums.last + c * wide + i);
                weight[c] = load(weights + c * wide + i);
            }
#define LAST(count) \
            for (long x = 0; x < f->width; x++) { \
                vec a = load(pixels + x * wide + i), back = {0}; \
                UNROLL for (int c = 0; c < count; c++) { \
                    float of_out = sign * g[c * plane + x]; \
                    of_weight[c] += of_out * a; \
                    back += of_out * weight[c]; \
                } \
                back = choose(a, back, chain->slope * back); \
                of_bias += back; \
                store(pixels + x * wide + i, back); \
            }
            switch (channels) {
            case 1: LAST(1) break;
            case 2: LAST(2) break;
            case 3: LAST(3) break;
            default: LAST(4)
            }
            store(bias + i, of_bias);
            for (long c = 0; c < channels; c++) store(sums.last + c * wide + i, of_weight[c]);
        }
    }
}

/* --- The passes --- */

/* Rows of tiles are shared out among so many bands. Threads may work on the bands of one stage at once, each with scratch memory and
   gradient sums of its own; a stage begins when all bands have ended the one before. The number depends on the size alone, so the
   order of all sums, and with it every bit of a result, is the same for any number of threads. */
long chain_bands(const Chain *chain, long height, long width) {
    Frame f = frame_of(chain, height, width);
    long bands = f.tiles_y * f.tiles_x / BAND;
    return bands < 1 ? 1 : least(bands, f.tiles_y);
}

ALWAYS Rows tiles_of(const Frame *f, long band, long bands) {
    return (Rows){f->tiles_y * band / bands * f->tiles_x, f->tiles_y * (band + 1) / bands * f->tiles_x};
}

ALWAYS Rows rows_of(const Frame *f, long band, long bands) {
    return (Rows){f->tiles_y * band / bands * 4, least(f->tiles_y * (band + 1) / bands * 4, f->height)};
}

long chain_forward_stages(const Chain *chain) { return chain->inner + 3; }
long chain_backward_stages(const Chain *chain) { return 2 * chain->inner + 2; }

/* out (c, h, w): what the chain makes of one image with these strides (channel, row, column). `saved` goes to the backward pass. */
void chain_forward(const Chain *chain, const float *packed, const float *image, const long strides[3], long height, long width, float *saved, float *scratch, float *out, long stage, long band) {
    Frame f = frame_of(chain, height, width);
    long wide = padded(chain), room = up(f.plane, 16), bands = chain_bands(chain, height, width);
    Parts p = parts_of(chain, (float *)packed, 2);
    float *activation = saved + image_room(chain, height, width), *products = scratch + POINTS * stride_of_point(wide);
    if (stage == 0) {
        if (band == 0) frame_image(chain, image, strides, height, width, saved);
    } else if (stage == 1) {
        first_layer(chain, &f, saved, p.first, p.first_bias, rows_of(&f, band, bands), activation);
    } else if (stage < chain->inner + 2) {
        const float *weights = p.inner + (stage - 2) * (2 * POINTS * wide + 1) * wide;
        Rows tiles = tiles_of(&f, band, bands);
        activation += (stage - 2) * room;
        for (long first = tiles.first; first < tiles.end; first += TILES) {
            long count = least(TILES, tiles.end - first);
            transform_inputs(&f, wide, activation, first, count, scratch);
            multiply(wide, scratch, weights, count, products);
            write_outputs(chain, &f, products, weights + 2 * POINTS * wide * wide, first, count, activation + room);
        }
    } else {
        last_layer(chain, &f, saved, activation + chain->inner * room, p.last, p.last_bias, rows_of(&f, band, bands), out);
    }
}

/* Adds the gradients of the weights to `sums`, given that of the output (c, h, w), contiguous. Uses up `saved`. */
void chain_backward(const Chain *chain, const float *packed, const float *gradient, long height, long width, float *saved, float *scratch, float *sums, long stage, long band) {
    Frame f = frame_of(chain, height, width);
    long wide = padded(chain), room = up(f.plane, 16), bands = chain_bands(chain, height, width), last = 2 * chain->inner + 1;
    Rows tiles = tiles_of(&f, band, bands), rows = rows_of(&f, band, bands);
    Parts p = parts_of(chain, (float *)packed, 2), s = parts_of(chain, sums, 1);
    float *activations = saved + image_room(chain, height, width), *other = scratch + POINTS * stride_of_point(wide);
    if (stage == 0) {
        float *bias = chain->inner ? s.inner + (chain->inner - 1) * (POINTS * wide + 1) * wide + POINTS * wide * wide : s.first_bias;
        last_backward(chain, &f, gradient, p.last, activations + chain->inner * room, rows, s, bias);
    } else if (stage < last) {
        long l = chain->inner - 1 - (stage - 1) / 2;
        const float *weights = p.inner + (l * (2 * POINTS * wide + 1) + POINTS * wide) * wide;
        float *into = s.inner + l * (POINTS * wide + 1) * wide, *before = activations + l * room, *after = before + room;
        for (long first = tiles.first; first < tiles.end; first += TILES) {
            long count = least(TILES, tiles.end - first);
            if (stage % 2) { /* of the weights, which needs the activations that the next stage replaces */
                transform_inputs(&f, wide, before, first, count, scratch);
                transform_gradients(&f, wide, after, first, count, other);
                add_products(wide, other, scratch, count, into);
            } else {
                transform_inputs(&f, wide, after, first, count, scratch);
                multiply(wide, scratch, weights, count, other);
                write_gradients(chain, &f, other, l ? into - wide : s.first_bias, first, count, before);
            }
        }
    } else {
        first_weights(chain, &f, saved, activations, rows, s.first);
    }
}
