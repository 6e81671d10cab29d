/* boundary.h - boundary F1: how well the outlines of each class agree, within a tolerance.
 *
 * Csurka, Larlus & Perronnin, "What is a good evaluation measure for semantic segmentation?", BMVC 2013. For a class of
 * one picture, with E_t and E_p the edge pixels of the class in target and prediction, and theta the tolerance:
 *
 *     precision = share of E_p that is nearer than theta to E_t        F1 = 2 precision recall / (precision + recall)
 *     recall    = share of E_t that is nearer than theta to E_p
 *
 * theta is a share of the picture's diagonal, 0.0075 in the paper; distances are exact Euclidean ones between pixel
 * centres, and a pixel in the very place always counts. A pixel of a class is on its edge when one of its 4 neighbours
 * has another class: the frame of the picture is no edge. Pixels that the target ignores are of no class in target and
 * prediction, and what lies beside them is not on an edge for that reason.
 *
 * A class's score is the mean of F1 over the pictures whose target holds the class. F1 is 0 where one of E_t and E_p is
 * empty; a picture in which both are (the class fills it, and nothing else was predicted) has no outline to judge and
 * is left out. Predictions of a class in pictures that do not hold it are the affair of precision and IoU.
 */
#ifndef SANDGLASS_TRAIN_BOUNDARY_H
#define SANDGLASS_TRAIN_BOUNDARY_H

#include "train/metric.h"

#define BOUNDARY_TOLERANCE 0.0075 /* of the diagonal: the paper's */

typedef struct Boundary Boundary;

/* tolerance: share of the diagonal, 0 (the very pixel only) to 1. */
Err boundary_new(Boundary **out, int n_classes, double tolerance, Error *err);
void boundary_free(Boundary *b); /* NULL is fine */

/* One picture. Both H,W: predicted are classes, target classes and 255 for ignored. Sizes may differ from picture to
 * picture. O(H W classes) cheap steps and O(theta) for each edge pixel: 480x360 with 12 classes takes some 2 ms. */
Err boundary_add(Boundary *b, int height, int width, const uint8_t *predicted, const uint8_t *target, Error *err);

/* Into boundary_f1 and bounded of the n_classes classes and, the mean over those that have one, of the whole. */
void boundary_scores(const Boundary *b, SegmentationScore *out, ClassScore *classes);

#endif
