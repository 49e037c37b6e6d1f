# What R's survival and cmprsk say of witness.csv, by late entry and not. Needs survival, cmprsk and jsonlite
# (Debian: r-cran-survival r-cran-cmprsk r-cran-jsonlite).
source(file.path(dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))), "tools.R"))
suppressPackageStartupMessages(library(survival))
suppressPackageStartupMessages(library(cmprsk))

d$type <- ifelse(d$call_failures >= 2, "asked", "moved") # why somebody left, of leavers only
d$state <- factor(ifelse(d$churned == 0, "stays", d$type), levels = c("stays", "asked", "moved"))
d$entry <- pmax(0, d$tenure_m - 1 - (seq_len(nrow(d)) - 1) %% 60) # the first of at most sixty months that are seen
late <- d[d$tenure_m > 0, ]
at <- c(12, 24, 60)
sites <- sort(unique(d$site_id))
G <- length(sites)

curve <- function(f) {
  s <- summary(f, times = at)
  c(s$surv, s$std.err, s$lower, s$upper)
}
km <- function(data) survfit(Surv(tenure_m, churned) ~ 1, data, conf.type = "log-log")
middle <- function(f) { q <- quantile(f, .5); unname(c(q$quantile, q$lower)) } # the upper end is not reached
# area under the curve up to tau and Klein and Moeschberger's variance, by formula
area <- function(data, tau = 60) {
  f <- survfit(Surv(tenure_m, churned) ~ 1, data)
  t <- c(0, f$time[f$time < tau & f$time > 0], tau)
  s <- c(if (f$time[1] == 0) f$surv[1] else 1, f$surv[f$time < tau & f$time > 0])
  parts <- diff(t) * s
  k <- f$time <= tau
  later <- sapply(f$time[k], function(x) sum((pmax(t[-1], x) - pmax(t[-length(t)], x)) * s))
  c(sum(parts), sum(later^2 * f$n.event[k] / (f$n.risk[k] * (f$n.risk[k] - f$n.event[k]))))
}
apart <- function(data) area(data[data$prepaid == 1, ])[1] - area(data[data$prepaid == 0, ])[1]
error_of <- function(left) sqrt((length(left) - 1) / length(left) * sum((left - mean(left))^2))
without <- function(f) sapply(sites, function(s) f(d[d$site_id != s, ]))
jackknife <- function(f, to = identity, back = identity) {
  left <- without(f)
  half <- qt(.975, G - 1) * error_of(to(left))
  list(estimate = f(d), std_error = error_of(left), conf_low = back(to(f(d)) - half), conf_high = back(to(f(d)) + half))
}
up <- function(s) -log(-log(s))
down <- function(x) exp(-exp(-x))
test <- function(x) list(estimate = x$chisq, p_value = pchisq(x$chisq, length(x$n) - 1, lower.tail = FALSE))
difference <- function(data) { x <- survdiff(Surv(tenure_m, churned) ~ value_segment, data); x$obs - x$exp }
hotelling <- function() {
  moved <- difference(d) - without(difference)
  V <- cov(t(moved)) * G # the sum of G parts
  u <- difference(d)[-1]
  x <- drop(u %*% solve(V[-1, -1], u))
  list(estimate = x, p_value = pf(x * (G - 2) / (2 * (G - 1)), 2, G - 2, lower.tail = FALSE))
}
model <- Surv(tenure_m, churned) ~ wait_s + bill_errors + list_price + strata(prepaid)
model_late <- Surv(entry, tenure_m, churned) ~ wait_s + bill_errors + list_price + strata(prepaid)
ratio <- function(f, error = sqrt(diag(vcov(f))), df = Inf) {
  unname(c(coef(f), error, 2 * pt(-abs(coef(f) / error), df)))
}
one <- coxph(model, d, ties = "efron", control = coxph.control(eps = 1e-11))
two <- coxph(model_late, late, ties = "efron", control = coxph.control(eps = 1e-11))
by_site <- coxph(model, d, ties = "efron", cluster = site_id, control = coxph.control(eps = 1e-11))
order_of <- function(f) { x <- concordance(f); list(estimate = x$concordance, std_error = sqrt(x$var)) }

say("stay", curve(km(d)))
say("stay_late", curve(survfit(Surv(entry, tenure_m, churned) ~ 1, late, conf.type = "log-log")))
say("median", middle(km(d)))
say("stay_sites", jackknife(function(x) summary(km(x), times = 24)$surv, up, down))
say("log_rank", test(survdiff(Surv(tenure_m, churned) ~ value_segment, d)))
say("peto", test(survdiff(Surv(tenure_m, churned) ~ value_segment, d, rho = 1)))
say("log_rank_in_strata", test(survdiff(Surv(tenure_m, churned) ~ value_segment + strata(prepaid), d)))
say("log_rank_sites", hotelling())
say("mean_prepaid", { x <- area(d[d$prepaid == 1, ]); c(x[1], sqrt(x[2])) })
say("mean_apart", c(apart(d), sqrt(area(d[d$prepaid == 1, ])[2] + area(d[d$prepaid == 0, ])[2])))
say("mean_apart_sites", jackknife(apart))
say("left_for", { s <- summary(survfit(Surv(tenure_m, state) ~ 1, d), times = at); c(s$pstate[, -1], s$std.err[, -1]) })
say("left_for_cmprsk", c(t(timepoints(cuminc(d$tenure_m, d$state, cencode = "stays"), at)$est)))
say("left_for_late", { s <- summary(survfit(Surv(entry, tenure_m, state) ~ 1, late, id = customer_id), times = at); c(s$pstate[, -1]) })
say("ratio", ratio(one))
say("ratio_late", ratio(two))
say("ratio_sites", ratio(by_site, sqrt(diag(vcov(by_site)) * G / (G - 1)), G - 1))
say("proportional", unname(cox.zph(one, "km")$table[, 1]))
say("proportional_late", unname(cox.zph(two, "km")$table[, 1]))
say("order", order_of(one))
say("order_late", order_of(two))

write_witness(c("survival", "cmprsk"))
