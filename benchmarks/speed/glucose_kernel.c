/* The glucose model's integration in C, for the benchmark to compare the batch kernel with.

   The same equations in the same order of operations as medsim/treatments/glucose/model.py, on the same block of tiles, so
   that the results agree to the bit. Strict IEEE arithmetic: build with -ffp-contract=off and without -ffast-math;
   -fno-trapping-math lets the compiler vectorise a comparison and changes no value.

   The position of each number in a tile comes from the Python records as -D definitions: S_ state, P_ parameter, U_ drive, and
   WIDTH, the lanes of a tile. Each stage is a loop over LANES patients, which the compiler turns into SIMD instructions. */

#ifndef LANES
#define LANES 8
#endif

#define S(name) row[S_##name * WIDTH + l]
#define P(name) row[P_##name * WIDTH + l]
#define U(name) row[U_##name * WIDTH + l]
#define X(name) x[S_##name][l]
#define DX(name) dx[S_##name][l]

#define INLINE static inline __attribute__((always_inline)) /* without it gcc does not vectorise */

typedef double lanes[STATES][LANES];

INLINE double larger(double a, double b) { return a > b ? a : b; }
INLINE double smaller(double a, double b) { return a < b ? a : b; }

INLINE double tangent(double v) {
    double z = smaller(larger(v, -19.0), 19.0) * 0.0078125;
    double s = z * (1.0 / 720.0) + 1.0 / 120.0;
    s = s * z + 1.0 / 24.0;
    s = s * z + 1.0 / 6.0;
    s = s * z + 1.0 / 2.0;
    s = s * z + 1.0;
    s = s * z + 1.0;
    s = s * s;
    s = s * s;
    s = s * s;
    s = s * s;
    s = s * s;
    s = s * s;
    s = s * s;
    s = s * s;
    return 1.0 - 2.0 / (s + 1.0);
}

INLINE void derivative(lanes x, lanes dx, const double *restrict row) {
    for (int l = 0; l < LANES; l++) {
        double qsto = X(qsto1_mg) + X(qsto2_mg);
        double bend = tangent(U(rise_per_mg) * (qsto - U(rise_at_mg))) - tangent(U(fall_per_mg) * (qsto - U(fall_at_mg))) + 2.0;
        double emptying = P(kmin) + (P(kmax) - P(kmin)) * 0.5 * bend;
        double kgut = U(eaten) > 0.0 ? emptying : P(kmax);
        double appearance = U(appearance_per_kg_per_min) * X(qgut_mg);
        double production = larger(P(kp1) - P(kp2) * X(gp_mg_per_kg) - P(kp3) * X(id_pmol_per_l), 0.0);
        double excretion = P(ke1) * larger(X(gp_mg_per_kg) - P(ke2), 0.0);
        double exchange = P(k1) * X(gp_mg_per_kg) - P(k2) * X(gt_mg_per_kg);
        double use = (P(vm0) + P(vmx) * X(x_pmol_per_l)) * X(gt_mg_per_kg) / (P(km0) + X(gt_mg_per_kg));
        double insulin = X(ip_pmol_per_kg) * U(per_vi_kg_per_l);
        double gp = production + appearance - P(fcns) - excretion - exchange;
        double ip = P(m1) * X(il_pmol_per_kg) + P(ka1) * X(isc1_pmol_per_kg) + P(ka2) * X(isc2_pmol_per_kg)
                    - (P(m2) + P(m4)) * X(ip_pmol_per_kg);
        double il = P(m2) * X(ip_pmol_per_kg) - (P(m1) + P(m30)) * X(il_pmol_per_kg);
        double isc1 = U(insulin_pmol_per_kg_per_min) - (P(ka1) + P(kd)) * X(isc1_pmol_per_kg);
        double isc2 = P(kd) * X(isc1_pmol_per_kg) - P(ka2) * X(isc2_pmol_per_kg);
        double gs = P(ksc) * (X(gp_mg_per_kg) - X(gs_mg_per_kg));
        double gt = exchange - use;
        DX(qsto1_mg) = U(carbs_mg_per_min) - P(kmax) * X(qsto1_mg);
        DX(qsto2_mg) = P(kmax) * X(qsto1_mg) - kgut * X(qsto2_mg);
        DX(qgut_mg) = kgut * X(qsto2_mg) - P(kabs) * X(qgut_mg);
        DX(gp_mg_per_kg) = X(gp_mg_per_kg) >= 0.0 ? gp : 0.0;
        DX(gt_mg_per_kg) = X(gt_mg_per_kg) >= 0.0 ? gt : 0.0;
        DX(ip_pmol_per_kg) = X(ip_pmol_per_kg) >= 0.0 ? ip : 0.0;
        DX(x_pmol_per_l) = P(p2u) * (insulin - P(ib_pmol_per_l) - X(x_pmol_per_l));
        DX(i1_pmol_per_l) = P(ki) * (insulin - X(i1_pmol_per_l));
        DX(id_pmol_per_l) = P(ki) * (X(i1_pmol_per_l) - X(id_pmol_per_l));
        DX(il_pmol_per_kg) = X(il_pmol_per_kg) >= 0.0 ? il : 0.0;
        DX(isc1_pmol_per_kg) = X(isc1_pmol_per_kg) >= 0.0 ? isc1 : 0.0;
        DX(isc2_pmol_per_kg) = X(isc2_pmol_per_kg) >= 0.0 ? isc2 : 0.0;
        DX(gs_mg_per_kg) = X(gs_mg_per_kg) >= 0.0 ? gs : 0.0;
    }
}

INLINE void moved(lanes y, double *restrict row, double h, lanes k) {
    for (int i = 0; i < STATES; i++)
        for (int l = 0; l < LANES; l++)
            y[i][l] = row[i * WIDTH + l] + h * k[i][l];
}

/* One Runge-Kutta step of LANES patients; the state comes first in a tile. */
INLINE void step(double *restrict row, double h) {
    lanes y, k1, k2, k3, k4;
    for (int i = 0; i < STATES; i++)
        for (int l = 0; l < LANES; l++)
            y[i][l] = row[i * WIDTH + l];
    derivative(y, k1, row);
    moved(y, row, 0.5 * h, k1);
    derivative(y, k2, row);
    moved(y, row, 0.5 * h, k2);
    derivative(y, k3, row);
    moved(y, row, h, k3);
    derivative(y, k4, row);
    for (int i = 0; i < STATES; i++)
        for (int l = 0; l < LANES; l++)
            row[i * WIDTH + l] = row[i * WIDTH + l] + h / 6.0 * (k1[i][l] + 2.0 * k2[i][l] + 2.0 * k3[i][l] + k4[i][l]);
}

/* Advance every tile of the block by some steps of length h. */
void integrate(double *block, long tiles, double h, long steps) {
    for (long tile = 0; tile < tiles; tile++)
        for (int first = 0; first < WIDTH; first += LANES)
            for (long k = 0; k < steps; k++)
                step(block + tile * FIELDS * WIDTH + first, h);
}
