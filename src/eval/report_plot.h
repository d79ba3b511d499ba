/* Drawing of one plot as SVG: a frame with linear scales, axes, lines, dots and words. Colours are not here: every
 * mark has a class, and data/report.html says what each class looks like in light and dark.
 *
 * Classes: model, best (the best control), control, base, yes, no. */
#ifndef TR_EVAL_REPORT_PLOT_H
#define TR_EVAL_REPORT_PLOT_H

#include "base/str.h"

#define TR_PLOT_WIDTH 400 /* of the view box; the page scales it */

typedef struct {
    tr_str *out;
    double height;                     /* of the view box */
    double left, right, top, bottom;   /* the data area in it */
    double x0, x1, y0, y1;             /* the data at its edges */
} tr_plot;

/* Starts an SVG of TR_PLOT_WIDTH x height for data x0..x1, y0..y1 (empty ranges are widened). `id` must be unique on
 * the page; title and description are what a screen reader says. The margins hold the axes' words. */
void tr_plot_open(tr_plot *plot, tr_str *out, const char *id, const char *title, const char *description, double height,
                  double left_margin);
void tr_plot_scale(tr_plot *plot, double x0, double x1, double y0, double y1);
void tr_plot_close(tr_plot *plot);

double tr_plot_x(const tr_plot *plot, double x);
double tr_plot_y(const tr_plot *plot, double y);

/* A step of 1, 2 or 5 times a power of ten that divides `range` into at most `most` parts. */
double tr_plot_step(double range, int most);

/* Axes with ticks at multiples of a step; y ticks carry a hairline across the data area. */
void tr_plot_x_axis(tr_plot *plot, const char *label, int most_ticks);
void tr_plot_y_axis(tr_plot *plot, const char *label, int most_ticks);

/* A line through n points (data coordinates); points off the data area are held at its edge. */
void tr_plot_line(tr_plot *plot, const char *class_name, const double *x, const double *y, size_t n);
void tr_plot_segment(tr_plot *plot, const char *class_name, double x0, double y0, double x1, double y1);
void tr_plot_rectangle(tr_plot *plot, const char *class_name, double x0, double y0, double x1, double y1);
/* radius in view-box units; `tooltip` may be NULL. */
void tr_plot_dot(tr_plot *plot, const char *class_name, double x, double y, double radius, const char *tooltip);

/* Words at a place of the view box; anchor: start, middle or end. */
void tr_plot_text(tr_plot *plot, const char *class_name, double at_x, double at_y, const char *anchor,
                  const char *text);

#endif
