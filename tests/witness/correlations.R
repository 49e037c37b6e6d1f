# What R says of correlations on witness.csv. Run as `Rscript tests/witness/correlations.R`: writes correlations.json
# beside this script, or to the file named as the first argument. Needs psych, polycor and jsonlite.
source(file.path(dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))), "tools.R"))
suppressPackageStartupMessages({
  library(psych)
  library(polycor)
})

held <- c("list_price", "tenure_m")
n <- nrow(d)
d$row <- seq_len(n)

# -- helpers: what the packages at hand do not have
error_of <- function(left) sqrt((length(left) - 1) / length(left) * sum((left - mean(left))^2))
# jackknife over the values of a column (Efron & Tibshirani 1993, chapter 11): t on G - 1, on Fisher's z
jackknife <- function(f, over) {
  left <- sapply(unique(d[[over]]), function(v) f(d[d[[over]] != v, ]))
  df <- length(left) - 1
  half <- qt(0.975, df) * error_of(atanh(left))
  list(estimate = f(d), std_error = error_of(left), conf_low = tanh(atanh(f(d)) - half), conf_high = tanh(atanh(f(d)) + half),
       p_value = 2 * pt(-abs(atanh(f(d))) / error_of(atanh(left)), df))
}
z_interval <- function(r, error) tanh(atanh(r) + c(-1, 1) * qnorm(0.975) * error)
fieller <- function(tau, n, p) {
  ends <- z_interval(tau, sqrt(0.437 / (n - 4)))
  list(estimate = tau, conf_low = ends[1], conf_high = ends[2], p_value = p)
}
tau <- function(data) cor(data$recommend, data$wait_s, method = "kendall")
# the inverse of the matrix of taus gives Kendall's partial tau, as ppcor does
partial_tau <- function(data) {
  inverse <- solve(cor(data[, c("recommend", "wait_s", held)], method = "kendall"))
  -inverse[1, 2] / sqrt(inverse[1, 1] * inverse[2, 2])
}
p_of_partial_tau <- function(tau, n) 2 * pnorm(-abs(tau) / sqrt(2 * (2 * n + 5) / (9 * n * (n - 1))))
part <- function(data) cor(data$recommend, resid(lm(reformulate(held, "wait_s"), data)))
p_of_part <- function(r, df) 2 * pt(-abs(r) * sqrt(df / (1 - r^2)), df)
alpha_of <- function(data) {
  S <- cov(data[, c("sat1", "sat2", "sat3")])
  3 / 2 * (1 - sum(diag(S)) / sum(S))
}
corrected <- function(data) cor(data$satisfaction, data$wait_s) / sqrt(alpha_of(data))

# -- Kendall's tau
say("tau", fieller(tau(d), n, cor.test(d$recommend, d$wait_s, method = "kendall", exact = FALSE)$p.value))
say("tau_sites", jackknife(tau, "site_id"))
say("partial_tau", fieller(partial_tau(d), n - 2, p_of_partial_tau(partial_tau(d), n - 2)))
say("partial_tau_sites", jackknife(partial_tau, "site_id"))

# -- semi-partial, and corrected for unreliability
say("part", within(jackknife(part, "row"), p_value <- p_of_part(estimate, n - 4)))
say("part_sites", jackknife(part, "site_id"))
say("corrected", jackknife(corrected, "row"))

# -- polychoric
fit <- polychor(d$bill_errors, d$prepaid, ML = TRUE, std.err = TRUE, control = list(maxit = 1e5, reltol = 1e-15))
ends <- z_interval(fit$rho, sqrt(fit$var[1, 1]) / (1 - fit$rho^2))
say("polychoric", list(estimate = fit$rho, conf_low = ends[1], conf_high = ends[2]))
say("polychoric_thresholds", as.list(unname(c(fit$row.cuts, fit$col.cuts))))
say("polychoric_fit", list(chi2 = fit$chisq, df = fit$df))
say("polychoric_two_step", list(sat1_sat2 = polychor(d$sat1, d$sat2), sat1_recommend = polychor(d$sat1, d$recommend)))
say("polychoric_psych", as.list(psych::polychoric(d[, c("sat1", "sat2", "sat3")], correct = 0, max.cat = 10)$rho[lower.tri(diag(3))]))

# -- many p-values
p <- c(0.0004, 0.031, NA, 0.012, 0.2, 0.049, 0.012, 1, 0.6, NA, 0.0021, 0.08)
say("p_values", as.list(p[!is.na(p)]))
for (way in c("holm", "hochberg", "hommel", "bonferroni", "BH", "BY")) say(way, as.list(p.adjust(p, way)[!is.na(p)]))

# -- two correlations
three <- cor(d[, c("recommend", "sat1", "sat2")])
say("three", list(r12 = three[1, 2], r13 = three[1, 3], r23 = three[2, 3]))
say("williams", psych::r.test(n = n, r12 = three[1, 2], r13 = three[1, 3], r23 = three[2, 3])[c("t", "p")])
# Steiger (1980), equation 14: the covariance of two correlations that share a variable, at their mean
steiger <- function(r12, r13, r23, n) {
  r <- (r12 + r13) / 2
  psi <- r23 * (1 - r^2 - r^2) - 0.5 * (r * r) * (1 - r^2 - r^2 - r23^2)
  z <- (atanh(r12) - atanh(r13)) * sqrt(n - 3) / sqrt(2 - 2 * psi / (1 - r^2)^2)
  list(z = z, p = 2 * pnorm(-abs(z)))
}
say("steiger", steiger(three[1, 2], three[1, 3], three[2, 3], n))
say("independent", psych::r.test(n = 300, r12 = 0.42, r34 = 0.31, n2 = 180)[c("z", "p")])

# -- bootstrap intervals, from draws that anybody can make: a skewed shape at even ranks
draws <- 0.2 + 0.1 * qnorm(ppoints(1999)) + 0.03 * qnorm(ppoints(1999))^2
left <- 0.21 + 0.01 * qexp(ppoints(60))
bca <- function(t0, draws, left) {
  shift <- qnorm(mean(draws < t0))
  apart <- mean(left) - left
  pull <- sum(apart^3) / (6 * sum(apart^2)^1.5)
  z <- shift + qnorm(c(0.025, 0.975))
  quantile(draws, pnorm(shift + z / (1 - pull * z)), names = FALSE)
}
say("percentile", as.list(quantile(draws, c(0.025, 0.975), names = FALSE)))
say("basic", as.list(2 * 0.22 - quantile(draws, c(0.975, 0.025), names = FALSE)))
say("normal", as.list(0.22 - (mean(draws) - 0.22) + c(-1, 1) * qnorm(0.975) * sd(draws)))
say("bca", as.list(bca(0.22, draws, left)))

write_witness(c("psych", "polycor"))
