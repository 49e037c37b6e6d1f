# What R says of leaving in witness.csv. Run as `Rscript tests/witness/logistic.R`. Needs sandwich, pROC and jsonlite
# (Debian: r-cran-sandwich r-cran-proc r-cran-jsonlite).
source(file.path(dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))), "tools.R"))
suppressPackageStartupMessages({
  library(sandwich)
  library(pROC)
})

held <- c("usage_data_gb", "list_price", "tenure_m", "prepaid")
terms <- c("satisfaction", held)
sites <- sort(unique(d$site_id))
G <- length(sites)
y <- d$churned

# -- helpers
# fitted again from its own end until nothing moves: glm stops by its deviance, and keeps the weights of the step before
model <- function(x, link = "logit", data = d, start = NULL) {
  f <- if (length(x)) reformulate(x, "churned") else churned ~ 1
  made <- glm(f, binomial(link), data, start = start, control = glm.control(epsilon = 1e-14, maxit = 200))
  if (!is.null(start) && max(abs(coef(made) - start)) < 1e-14) made else model(x, link, data, coef(made))
}
plain <- function(x) unname(as.list(x))
error_of <- function(left) sqrt((length(left) - 1) / length(left) * sum((left - mean(left))^2))
jackknifed <- function(full, left) {
  half <- qt(0.975, length(left) - 1) * error_of(left)
  list(estimate = full, std_error = error_of(left), conf_low = full - half, conf_high = full + half)
}
on_scale <- function(full, left, to, back) {
  half <- qt(0.975, length(left) - 1) * error_of(to(left))
  list(estimate = full, std_error = error_of(left), conf_low = back(to(full) - half), conf_high = back(to(full) + half))
}
# the gradient of a function of the coefficients by central differences with one refinement (Richardson)
gradient <- function(f, b) sapply(seq_along(b), function(j) {
  h <- 1e-3 * max(abs(b[j]), 1e-3)
  slope <- function(h) (f(replace(b, j, b[j] + h)) - f(replace(b, j, b[j] - h))) / (2 * h)
  (4 * slope(h / 2) - slope(h)) / 3
})
delta <- function(f, m) {
  g <- gradient(f, coef(m))
  list(estimate = f(coef(m)), std_error = sqrt(drop(t(g) %*% vcov(m) %*% g)))
}
logit <- model(terms)
cloglog <- model(terms, "cloglog")
X <- model.matrix(logit)
share <- list(logit = plogis, cloglog = function(eta) -expm1(-exp(eta)))
slope <- list(logit = dlogis, cloglog = function(eta) exp(eta - exp(eta)))
effect <- function(b, link, term, step = 1, rows = TRUE, shift = 0) {
  if (term != "prepaid") return(step * b[[term]] * slope[[link]](drop(X %*% b) + shift)[rows])
  X1 <- X0 <- X
  X1[, term] <- 1
  X0[, term] <- 0
  (share[[link]](drop(X1 %*% b) + shift) - share[[link]](drop(X0 %*% b) + shift))[rows]
}
# coefficients without each site, by one step of scoring from those of everybody (Cameron & Miller 2015, CR3)
one_step <- function(m) t(sapply(sites, function(s) {
  keep <- d$site_id != s
  suppressWarnings(glm.fit(X[keep, ], y[keep], start = coef(m), family = m$family, control = glm.control(maxit = 1)))$coefficients
}))
clustered_effect <- function(m, term, step = 1, shift = 0, weights = rep(1, nrow(d))) {
  b <- coef(m)
  link <- m$family$link
  f <- function(b) weighted.mean(effect(b, link, term, step, shift = shift), weights)
  each <- effect(b, link, term, step, shift = shift)
  left <- sapply(sites, function(s) weighted.mean(each[d$site_id != s], weights[d$site_id != s]))
  jackknifed(1000 * f(b), 1000 * (left + drop(sweep(one_step(m), 2, b) %*% gradient(f, b))))
}
ratio <- function(m, term, step) {
  got <- jackknifed(step * coef(m)[[term]], step * one_step(m)[, term])
  list(estimate = exp(got$estimate), std_error = exp(got$estimate) * got$std_error, conf_low = exp(got$conf_low), conf_high = exp(got$conf_high))
}

# -- the model of independent rows
say("se", plain(sqrt(diag(vcov(logit)))))
say("log_likelihood", as.numeric(logLik(logit)))
say("hc0", plain(sqrt(diag(vcovHC(logit, "HC0")))))
say("hc1", plain(sqrt(diag(vcovHC(logit, "HC1")))))
fine <- suppressWarnings(MASS:::profile.glm(logit, del = 0.05, maxsteps = 500))
say("profile", plain(suppressMessages(t(confint(fine)))[, -1]))
say("fit", list(aic = AIC(logit), bic = BIC(logit), mcfadden = 1 - logit$deviance / logit$null.deviance, cox_snell = 1 - exp((logit$deviance - logit$null.deviance) / nrow(d)), tjur = mean(fitted(logit)[y == 1]) - mean(fitted(logit)[y == 0])))
say("average_slope", delta(function(b) mean(effect(b, "logit", "satisfaction")), logit))
say("average_difference", delta(function(b) mean(effect(b, "logit", "prepaid")), logit))
say("slope_at_the_mean", delta(function(b) b[["satisfaction"]] * dlogis(sum(colMeans(X) * b)), logit))

# -- hazards in discrete time
say("cloglog", plain(coef(cloglog)))
say("cloglog_se", plain(sqrt(diag(vcov(cloglog)))))
say("cloglog_log_likelihood", as.numeric(logLik(cloglog)))
say("cloglog_slope", delta(function(b) mean(effect(b, "cloglog", "satisfaction")), cloglog))
say("hazard_ratio_sites", ratio(cloglog, "satisfaction", 10))
say("cloglog_effect_sites", clustered_effect(cloglog, "satisfaction", 10))

# -- leavers over-sampled: the table's odds are multiplied by k (King & Zeng 2001)
true <- 0.02
k <- true / (1 - true) * (1 - mean(y)) / mean(y)
say("enriched_effect_sites", clustered_effect(logit, "satisfaction", 10, log(k), ifelse(y == 1, k, 1)))
wilson <- prop.test(sum(y[d$prepaid == 1]), sum(d$prepaid), correct = FALSE)
say("enriched_rate", k * wilson$estimate[[1]] / (1 - wilson$estimate[[1]] + k * wilson$estimate[[1]]))
say("enriched_rate_ends", plain(sapply(wilson$conf.int, function(p) k * p / (1 - p + k * p))))

# -- leaving separated by satisfaction but for a band in the middle: the likelihood times the root of the information's determinant
d$separated <- ifelse(d$satisfaction < 45, 1, ifelse(d$satisfaction > 65, 0, d$churned))
d$level <- (d$satisfaction >= 45) + (d$satisfaction > 65)
S <- scale(as.matrix(d[, c("level", "tenure_m")]))
Z <- cbind(1, S)
worth <- function(b, rows = TRUE) {
  eta <- drop(Z %*% b)
  sum(d$separated * plogis(eta, log.p = TRUE) + (1 - d$separated) * plogis(-eta, log.p = TRUE)) + 0.5 * as.numeric(determinant(t(Z) %*% (Z * dlogis(eta)))$modulus)
}
# the maximum by data added to the table: each row again with the other outcome, by half its leverage (Heinze & Schemper 2002)
climb <- function(held = NULL, start = c(0, -1, 0)) {
  free <- setdiff(1:3, if (is.null(held)) NULL else 2)
  b <- if (is.null(held)) start else start * held / start[2]
  fixed <- if (is.null(held)) rep(0, nrow(Z)) else held * Z[, 2]
  for (i in 1:500) {
    W <- dlogis(drop(Z %*% b))
    h <- W * rowSums((Z %*% solve(t(Z) %*% (Z * W), tol = 1e-30)) * Z)
    made <- suppressWarnings(glm.fit(rbind(Z, Z)[, free], c(d$separated, 1 - d$separated), c(1 + h / 2, h / 2), start = b[free], offset = c(fixed, fixed), family = quasibinomial(), control = glm.control(epsilon = 1e-15)))
    step <- made$coefficients - b[free]
    b[free] <- b[free] + step * min(1, 0.5 / max(abs(step)))
    if (max(abs(step)) < 1e-11) break
  }
  list(par = b, value = worth(b))
}
top <- climb()
lost <- function(b) 2 * (top$value - climb(b, top$par)$value) - qchisq(0.95, 1)
scale_of <- attr(S, "scaled:scale")[[1]]
say("firth", top$par[2] / scale_of)
say("firth_ends", plain(c(uniroot(lost, c(2.5 * top$par[2], top$par[2]), tol = 1e-9)$root, uniroot(lost, c(top$par[2], 0), tol = 1e-9)$root) / scale_of))
say("firth_p", pchisq(2 * (top$value - climb(0, top$par)$value), 1, lower.tail = FALSE))

# -- forecasts: every other row is foretold from the rest
learn <- seq_len(nrow(d)) %% 2 == 1
late <- d[!learn, ]
told <- predict(model(terms, data = d[learn, ]), late)
alone <- predict(model("satisfaction", data = d[learn, ]), late)
p <- plogis(told)
late$told <- told
curve <- roc(late$churned, told, quiet = TRUE, direction = "<")
other <- roc(late$churned, alone, quiet = TRUE, direction = "<")
say("auc", plain(ci.auc(curve, method = "delong")))
both <- roc.test(curve, other, method = "delong")
say("auc_difference", list(z = both$statistic[[1]], p = both$p.value, low = both$conf.int[1], high = both$conf.int[2]))
seen <- sort(unique(late$site_id))
over <- function(f) sapply(seen, function(s) f(late$site_id != s))
area <- function(keep) as.numeric(auc(roc(late$churned[keep], told[keep], quiet = TRUE, direction = "<")))
say("auc_sites", jackknifed(area(TRUE), over(area)))
loss <- function(eta) -(late$churned * plogis(eta, log.p = TRUE) + (1 - late$churned) * plogis(-eta, log.p = TRUE))
say("log_loss_sites", jackknifed(mean(loss(told)), over(function(keep) mean(loss(told)[keep]))))
none <- loss(qlogis(mean(late$churned)))
say("saved_sites", jackknifed(100 * sum(loss(alone) - loss(told)) / sum(none), over(function(keep) 100 * sum((loss(alone) - loss(told))[keep]) / sum(none[keep]))))
caught <- function(keep) {
  ranked <- late$churned[keep][order(-told[keep])]
  sum(ranked[seq_len(ceiling(length(ranked) / 10))]) / sum(ranked)
}
say("caught_sites", on_scale(caught(TRUE), over(caught), qlogis, plogis))
spread <- model("told", data = late)
large <- glm(churned ~ offset(told), binomial, late, control = glm.control(epsilon = 1e-14))
large <- glm(churned ~ offset(told), binomial, late, start = coef(large), control = glm.control(epsilon = 1e-14))
say("calibration", list(slope = coef(spread)[[2]], slope_se = sqrt(vcov(spread)[2, 2]), large = coef(large)[[1]], large_se = sqrt(vcov(large)[1, 1])))
g <- cut(rank(p, ties.method = "first"), 10, labels = FALSE)
say("hosmer_lemeshow", sum((tapply(late$churned, g, sum) - tapply(p, g, sum))^2 / (tapply(p, g, sum) * (1 - tapply(p, g, mean)))))
say("kolmogorov_smirnov", max(abs(curve$sensitivities + curve$specificities - 1)))
bin <- cut(p, seq(0, 1, 0.1), include.lowest = TRUE)
say("calibration_error", sum(abs(tapply(p - late$churned, bin, sum)), na.rm = TRUE) / nrow(late))

write_witness(c("sandwich", "pROC"))
