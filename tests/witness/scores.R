# What R says of scores on witness.csv, all rows as of one month. Run as `Rscript tests/witness/scores.R`: writes
# scores.json beside this script. Needs survey, effectsize and jsonlite (Debian: r-cran-survey r-cran-effectsize).
source(file.path(dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))), "tools.R"))
suppressPackageStartupMessages({
  library(survey)
  library(effectsize)
})

# every fourth customer is silent; the design's weight grows with tenure
d$answered <- (seq_len(nrow(d)) - 1) %% 4 != 0
d$weight <- 1 + d$tenure_m / 60
d$net <- 100 * ((d$recommend >= 9) - (d$recommend <= 6))
a <- d[d$answered, ]
n <- nrow(a)
sites <- sort(unique(d$site_id))
answering <- sort(unique(a$site_id))
z <- qnorm(0.975)
ends <- function(estimate, error, half, ...) list(estimate = estimate, std_error = error, conf_low = estimate - half * error, conf_high = estimate + half * error, ...)
# jackknife over sites (Efron & Tibshirani 1993, chapter 11) of a number of everybody's table
jackknife <- function(f, over = sites) {
  left <- sapply(over, function(s) f(d[d$site_id != s, ]))
  error <- sqrt((length(left) - 1) / length(left) * sum((left - mean(left))^2))
  ends(f(d), error, qt(0.975, length(left) - 1))
}
of <- function(segment, data = a) data[data$value_segment == segment, ]
tested <- function(t, p) list(statistic = unname(t), p_value = p)

# -- one score
up <- sum(a$recommend >= 9)
down <- sum(a$recommend <= 6)
net <- function(p, m, k, method, level = 0.95) {
  k3 <- if (method == "add-three") 3 else 0
  p3 <- (p + k3 / 4) / (k + k3)
  m3 <- (m + k3 / 4) / (k + k3)
  (p3 - m3) + c(-1, 1) * qnorm(0.5 + level / 2) * sqrt((p3 + m3 - (p3 - m3)^2) / (k + k3))
}
# Tango's test: the likelihood of the three kinds of answer where their difference is given, maximised numerically
tango <- function(p, m, k) {
  test <- function(gap) {
    loglik <- function(q) p * log(q + gap) + m * log(q) + (k - p - m) * log(1 - 2 * q - gap)
    q <- optimize(loglik, c(max(0, -gap) + 1e-12, (1 - gap) / 2 - 1e-12), maximum = TRUE, tol = 1e-13)$maximum
    (p - m - k * gap) / sqrt(k * (2 * q + gap - gap^2))
  }
  root <- function(at, from, to) uniroot(function(x) test(x) - at, c(from, to), tol = 1e-13)$root
  c(root(z, -0.999, (p - m) / k), root(-z, (p - m) / k, 0.999))
}
say("net_add_three", 100 * net(up, down, n, "add-three"))
say("net_wald_99", 100 * net(up, down, n, "wald", 0.99))
say("net_tango", 100 * tango(up, down, n))
say("mean", with(t.test(a$satisfaction), list(estimate = estimate[[1]], std_error = stderr, conf_low = conf.int[1], conf_high = conf.int[2])))
say("net_sites", jackknife(function(data) mean(data$net[data$answered]), answering))

# -- shares and two shares
densest <- function(k, m, level = 0.95) {
  width <- function(tail) diff(qbeta(c(tail, tail + level), k + 0.5, m - k + 0.5))
  tail <- optimize(width, c(0, 1 - level), tol = 1e-12)$minimum
  qbeta(c(tail, tail + level), k + 0.5, m - k + 0.5)
}
say("share_wilson", prop.test(12, 80, correct = FALSE)$conf.int)
say("share_wilson-cc", prop.test(12, 80)$conf.int)
say("share_exact", binom.test(12, 80)$conf.int)
say("share_jeffreys", qbeta(c(0.025, 0.975), 12.5, 68.5))
say("share_bayes", densest(12, 80))
say("share_agresti-coull", { m <- 80 + z^2; p <- (12 + z^2 / 2) / m; p + c(-1, 1) * z * sqrt(p * (1 - p) / m) })
say("share_wald", 12 / 80 + c(-1, 1) * z * sqrt(12 / 80 * 68 / 80 / 80))
say("share_logit", plogis(confint.default(glm(cbind(12, 68) ~ 1, binomial, control = glm.control(epsilon = 1e-14)))))
say("shares_p", c(prop.test(c(12, 30), c(80, 90), correct = FALSE)$p.value, prop.test(c(12, 30), c(80, 90))$p.value, fisher.test(rbind(c(12, 30), c(68, 60)))$p.value))

# -- levels
pairs <- list(high_mass = c("high", "mass"), high_mid = c("high", "mid"), mass_mid = c("mass", "mid"))
for (name in names(pairs)) {
  one <- pairs[[name]][1]
  other <- pairs[[name]][2]
  eval(bquote(say(.(paste0("welch_", name)), with(t.test(of(.(one))$satisfaction, of(.(other))$satisfaction), list(estimate = estimate[[1]] - estimate[[2]], std_error = stderr, df = parameter[[1]], conf_low = conf.int[1], conf_high = conf.int[2], p_value = p.value)))))
  eval(bquote(say(.(paste0("g_", name)), with(hedges_g(of(.(one))$satisfaction, of(.(other))$satisfaction), list(estimate = Hedges_g, conf_low = CI_low, conf_high = CI_high)))))
  eval(bquote(say(.(paste0("sites_", name)), jackknife(function(data) mean(of(.(one), data[data$answered, ])$satisfaction) - mean(of(.(other), data[data$answered, ])$satisfaction), sort(unique(a$site_id[a$value_segment %in% c(.(one), .(other))]))))))
}
say("adjusted", p.adjust(sapply(pairs, function(x) t.test(of(x[1])$satisfaction, of(x[2])$satisfaction)$p.value), "BH"))
say("net_high_mass", {
  x <- of("high")$recommend
  y <- of("mass")$recommend
  s <- function(v) mean(v >= 9) - mean(v <= 6)
  e <- function(v) sqrt((mean(v >= 9) + mean(v <= 6) - s(v)^2) / length(v))
  i <- net(sum(x >= 9), sum(x <= 6), length(x), "add-three")
  j <- net(sum(y >= 9), sum(y <= 6), length(y), "add-three")
  gap <- s(x) - s(y)
  error <- sqrt(e(x)^2 + e(y)^2)
  list(estimate = 100 * gap, std_error = 100 * error, p_value = 2 * pnorm(-abs(gap / error)), conf_low = 100 * (gap - sqrt((s(x) - i[1])^2 + (j[2] - s(y))^2)), conf_high = 100 * (gap + sqrt((i[2] - s(x))^2 + (s(y) - j[1])^2)))
})
# the noncentrality at which a statistic has this tail: R's distribution, and a search that does converge
noncentral <- function(below, tail, most) if (below(0) > tail) uniroot(function(x) below(x) - tail, c(0, most), tol = 1e-11)$root else 0
eta <- function(f, df1, df2, per) sapply(c(0.975, 0.025), function(tail) { x <- noncentral(function(l) pf(f, df1, df2, l), tail, 200); x / (x + per) })
say("eta2", {
  s <- summary(aov(satisfaction ~ value_segment, a))[[1]]
  w <- oneway.test(satisfaction ~ value_segment, a)
  share <- s[1, 2] / sum(s[, 2])
  c(share, eta(w$statistic, w$parameter[1], w$parameter[2], w$statistic * w$parameter[1] / (share / (1 - share))), w$p.value)
})
say("cramers_v", {
  kinds <- table(a$value_segment, cut(a$recommend, c(-1, 6, 8, 10)))
  x <- suppressWarnings(chisq.test(kinds, correct = FALSE))
  c(sqrt(x$statistic / n / 2), sqrt(sapply(c(0.975, 0.025), function(tail) noncentral(function(l) pchisq(x$statistic, x$parameter, l), tail, 200)) / n / 2), x$p.value)
})
# survey's jackknife of means by segment, and its Wald test that all are equal
by_sites <- as.svrepdesign(svydesign(~site_id, weights = ~1, data = a), type = "JK1")
say("wald_sites", {
  m <- svyby(~satisfaction, ~value_segment, by_sites, svymean, covmat = TRUE)
  C <- rbind(c(-1, 1, 0), c(-1, 0, 1))
  gap <- C %*% coef(m)
  G <- length(answering)
  f <- (G - 2) / (2 * (G - 1)) * drop(t(gap) %*% solve(C %*% vcov(m) %*% t(C), gap))
  tested(f, pf(f, 2, G - 2, lower.tail = FALSE))
})
say("ranks", with(rank_biserial(of("high")$satisfaction, of("mass")$satisfaction, verbose = FALSE), list(estimate = r_rank_biserial, conf_low = CI_low, conf_high = CI_high, p_value = wilcox.test(of("high")$satisfaction, of("mass")$satisfaction, exact = FALSE)$p.value)))

# -- weights
d$plan <- ifelse(d$prepaid == 1, "prepaid", "postpaid")
a <- d[d$answered, ]
raked <- function(data) {
  said <- data[data$answered, ]
  margin <- function(column) setNames(as.data.frame(table(data[[column]]) / nrow(data) * nrow(said)), c(column, "Freq"))
  present <- function(column) { m <- margin(column); m[m[[column]] %in% said[[column]], ] }
  rake(svydesign(~1, weights = ~1, data = said), list(~value_segment, ~plan), list(present("value_segment"), present("plan")), control = list(maxit = 500, epsilon = 1e-12))
}
say("raked", { m <- svymean(~satisfaction, raked(d)); ends(coef(m)[[1]], SE(m)[[1]], qt(0.975, n - 1)) })
say("raked_net", { m <- svymean(~net, raked(d)); ends(coef(m)[[1]], SE(m)[[1]], qt(0.975, n - 1)) })
say("raked_sites", jackknife(function(data) coef(svymean(~satisfaction, raked(data)))[[1]]))
say("raked_cost", { w <- weights(raked(d)); n * sum(w^2) / sum(w)^2 })
say("design", { m <- svymean(~satisfaction, svydesign(~1, weights = ~weight, data = a)); ends(coef(m)[[1]], SE(m)[[1]], qt(0.975, n - 1)) })
say("design_sites", jackknife(function(data) with(data[data$answered, ], sum(weight * satisfaction) / sum(weight)), answering))
model <- answered ~ (value_segment == "mass") + (value_segment == "mid") + tenure_m
weighted <- function(m, data) with(data[data$answered, ], sum(satisfaction / fitted(m)[data$answered]) / sum(1 / fitted(m)[data$answered]))
full <- glm(model, binomial, d, control = glm.control(epsilon = 1e-14, maxit = 100))
full <- glm(model, binomial, d, start = coef(full), control = glm.control(epsilon = 1e-14, maxit = 100))
# without each site: one Newton step from the fit of everybody (Cameron & Miller 2015)
one_step <- function(s) {
  keep <- d$site_id != s
  b <- suppressWarnings(glm.fit(model.matrix(full)[keep, ], d$answered[keep], start = coef(full), family = binomial(), control = glm.control(maxit = 1)))$coefficients
  p <- plogis(drop(model.matrix(full) %*% b))[keep & d$answered]
  sum(d$satisfaction[keep & d$answered] / p) / sum(1 / p)
}
say("answering_sites", { left <- sapply(sites, one_step); ends(weighted(full, d), sqrt((length(left) - 1) / length(left) * sum((left - mean(left))^2)), qt(0.975, length(left) - 1)) })
say("answering_refitted", jackknife(function(data) weighted(glm(model, binomial, data, control = glm.control(epsilon = 1e-14, maxit = 100)), data)))

# -- the silent: odds of answering that change with the answer, and what a plan needs
say("everybody_sites", {
  centre <- mean(a$recommend)
  spread <- sqrt(mean((a$recommend - centre)^2))
  share <- mean(d$answered)
  at <- lapply(c(-1, 0, 0.5), function(s) jackknife(function(data) {
    said <- data[data$answered, ]
    tilt <- exp(s * (said$recommend - centre) / spread)
    share * mean(said$net) + (1 - share) * sum(tilt * said$net) / sum(tilt)
  }, answering))
  list(estimate = mean(a$net), conf_low = min(sapply(at, `[[`, "conf_low")), conf_high = max(sapply(at, `[[`, "conf_high")))
})
say("power", c(power.prop.test(p1 = 0.2, p2 = 0.3, power = 0.8)$n, power.prop.test(n = 150, p1 = 0.2, p2 = 0.3)$power, power.t.test(delta = 4, sd = 20, power = 0.9)$n, power.t.test(n = 60, delta = 5, sd = 20, type = "paired")$power))

write_witness(c("survey", "effectsize", "jsonlite"))
