# Importance of terms and blocks, and models, on our own table: every subset is fitted anew by lm or glm, without lattice.
# Run as Rscript tests/witness/drivers.R; writes drivers.json beside it.
source(file.path(dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))), "tools.R"))
suppressPackageStartupMessages({library(MASS); library(car)})

terms <- c("retainability", "wait_s", "bill_errors", "call_failures")
leaving <- c("satisfaction", "prepaid", "tenure_m")
blocks <- list(network = c("retainability", "call_failures"), design = "bill_errors", operations = "wait_s")
sites <- sort(unique(d$site_id))
G <- length(sites)

# jackknife over sites (Efron & Tibshirani 1993, chapter 11): t on G - 1, symmetric on the scale of `to`
error_of <- function(left) sqrt((length(left) - 1) / length(left) * sum((left - mean(left))^2))
jackknife <- function(f, to = identity, back = identity) {
  full <- f(d)
  left <- sapply(sites, function(s) f(d[d$site_id != s, ]))
  half <- qt(0.975, G - 1) * error_of(to(left))
  list(estimate = full, std_error = error_of(left), conf_low = back(to(full) - half), conf_high = back(to(full) + half))
}
share <- function(f) jackknife(f, qlogis, plogis)

# R2 of every set of players, by name: "of", "of a", "of a b" ...
linear <- function(data, y, x) if (length(x)) summary(lm(reformulate(x, y), data))$r.squared else 0
mcfadden <- function(data, y, x) {
  if (!length(x)) return(0)
  m <- glm(reformulate(x, y), binomial, data, control = glm.control(epsilon = 1e-14, maxit = 100))
  1 - m$deviance / m$null.deviance
}
subsets <- function(names) unlist(lapply(0:length(names), function(k) combn(names, k, simplify = FALSE)), recursive = FALSE)
key <- function(set) paste(c("of", sort(set)), collapse = " ")
worths <- function(data, y, players, r2) {
  sets <- subsets(names(players))
  setNames(lapply(sets, function(set) r2(data, y, unlist(players[set]))), sapply(sets, key))
}
# what a player adds to a set, averaged over sets of each size: conditional dominance; its mean is LMG
adds <- function(worth, names, player) {
  others <- subsets(setdiff(names, player))
  gain <- sapply(others, function(set) worth[[key(c(set, player))]] - worth[[key(set)]])
  tapply(gain, lengths(others), mean)
}
lmg <- function(worth, names) sapply(names, function(player) mean(adds(worth, names, player)))
single <- function(x) setNames(as.list(x), x)
shares_of <- function(data, y, players, r2) {
  part <- lmg(worths(data, y, players, r2), names(players))
  part / sum(part)
}
complete <- function(worth, names, a, b) {
  neither <- subsets(setdiff(names, c(a, b)))
  mean(sapply(neither, function(set) worth[[key(c(set, a))]] > worth[[key(c(set, b))]]))
}
johnson <- function(data) {
  R <- cor(data[, terms])
  e <- eigen(R)
  root <- e$vectors %*% diag(sqrt(e$values)) %*% t(e$vectors)
  part <- setNames(drop(root^2 %*% solve(root, cor(data[, terms], data$satisfaction))^2), terms)
  part / sum(part)
}
beta <- function(data) coef(lm(scale(satisfaction) ~ scale(as.matrix(data[, terms])), data))[-1]
r_of <- function(data) drop(cor(data[, terms], data$satisfaction))

whole <- worths(d, "satisfaction", single(terms), linear)
R2 <- whole[[key(terms)]]
for (term in terms) eval(bquote(say(.(paste0("johnson_", term)), share(function(data) johnson(data)[[.(term)]]))))
say("first", setNames(lapply(terms, function(x) whole[[key(x)]] / R2), terms))
say("last", setNames(lapply(terms, function(x) 1 - whole[[key(setdiff(terms, x))]] / R2), terms))
say("betasq", setNames(as.list(beta(d)^2 / R2), terms))
say("pratt", setNames(as.list(beta(d) * r_of(d) / R2), terms))
inverse_root <- with(eigen(cor(d[, terms])), vectors %*% diag(1 / sqrt(values)) %*% t(vectors))
say("car", setNames(as.list(drop(inverse_root %*% r_of(d))^2 / R2), terms))
for (term in terms) eval(bquote(say(.(paste0("adds_", term)), as.list(unname(adds(whole, terms, .(term)))))))
for (term in terms) eval(bquote(say(.(paste0("more_", term)), lapply(setNames(nm = setdiff(terms, .(term))), function(b) complete(whole, terms, .(term), b)))))
say("vif", as.list(vif(lm(reformulate(terms, "satisfaction"), d))))
say("condition", with(eigen(cor(d[, terms])), list(number = sqrt(values[1] / values[4]))))

# the mean of a term, 0 to 100 of its stated range (retainability 0 to 1) or of the range seen; less is better but for it
seen <- lapply(single(terms), function(x) range(d[[x]]))
score <- function(x) function(data) 100 * (seen[[x]][2] - mean(data[[x]])) / diff(seen[[x]])
say("score_retainability", jackknife(function(data) 100 * mean(data$retainability)))
for (term in terms[-1]) eval(bquote(say(.(paste0("score_", term)), jackknife(score(.(term))))))

# slopes below and above the mean of each term, turned so that more is better; for a second of waiting a minute
middle <- colMeans(d[, terms])
steps <- c(retainability = 0.01, wait_s = 60, bill_errors = 1, call_failures = 1)
turn <- c(retainability = 1, wait_s = -1, bill_errors = -1, call_failures = -1)
sides <- function(data) {
  x <- lapply(terms, function(t) turn[[t]] * (data[[t]] - middle[[t]]))
  both <- do.call(cbind, lapply(x, function(v) cbind(pmin(v, 0), pmax(v, 0))))
  slope <- matrix(coef(lm(data$satisfaction ~ both))[-1], 2) %*% diag(steps)
  setNames(data.frame(slope), terms)
}
for (term in terms) {
  eval(bquote(say(.(paste0("worse_", term)), jackknife(function(data) sides(data)[[.(term)]][1]))))
  eval(bquote(say(.(paste0("better_", term)), jackknife(function(data) sides(data)[[.(term)]][2]))))
  eval(bquote(say(.(paste0("asymmetry_", term)), jackknife(function(data) -diff(sides(data)[[.(term)]])))))
}

# leaving: parts of McFadden's R2, each subset fitted anew also without each site
found <- lapply(c(list(d), lapply(sites, function(s) d[d$site_id != s, ])), shares_of, "churned", single(leaving), mcfadden)
say("mcfadden", list(estimate = mcfadden(d, "churned", leaving) - length(leaving) / -as.numeric(logLik(glm(churned ~ 1, binomial, d)))))
of_leaving <- function(name) {
  each <- sapply(found, `[[`, name)
  half <- qt(0.975, G - 1) * error_of(qlogis(each[-1]))
  list(estimate = each[1], std_error = error_of(each[-1]), conf_low = plogis(qlogis(each[1]) - half), conf_high = plogis(qlogis(each[1]) + half))
}
for (term in leaving) eval(bquote(say(.(paste0("leaving_", term)), of_leaving(.(term)))))

# blocks: within the remainder; entering last and first; and known with an error
say("remainder_design", share(function(data) {
  part <- shares_of(data, "satisfaction", blocks, linear)
  part[["design"]] / (part[["design"]] + part[["operations"]])
}))
block_r2 <- function(data, x) linear(data, "satisfaction", unlist(blocks[x]))
for (name in names(blocks)) {
  eval(bquote(say(.(paste0("alone_", name)), share(function(data) block_r2(data, .(name)) / block_r2(data, names(blocks))))))
  eval(bquote(say(.(paste0("added_", name)), share(function(data) 1 - block_r2(data, setdiff(names(blocks), .(name))) / block_r2(data, names(blocks))))))
}
reliability <- c(network = 0.9, design = 0.7, operations = 0.8)
attenuated <- function(data, y, x) {
  if (!length(x)) return(0)
  S <- cov(data[, c(y, unlist(blocks))])
  for (name in names(blocks)) S[blocks[[name]], blocks[[name]]] <- reliability[[name]] * S[blocks[[name]], blocks[[name]]]
  drop(S[y, x] %*% solve(S[x, x], S[x, y])) / S[y, y]
}
for (name in names(blocks)) eval(bquote(say(.(paste0("reliable_", name)), share(function(data) shares_of(data, "satisfaction", blocks, attenuated)[[.(name)]]))))

# an ordinal outcome; the numeric Hessian of polr wants terms of like size, near zero
d$answer <- factor(d$recommend, ordered = TRUE)
d$percent <- 100 * (d$retainability - mean(d$retainability))
d$minutes <- d$wait_s / 60
odds <- polr(answer ~ percent + minutes + bill_errors, d, Hess = TRUE, control = list(reltol = 1e-15, maxit = 2000))
own <- c(retainability = 100, wait_s = 1 / 60, bill_errors = 1)
say("ordinal", setNames(as.list(coef(odds) * own), names(own)))
# the sandwich from the score of each row, taken by central differences with one refinement, and polr's Hessian
X <- as.matrix(d[, c("percent", "minutes", "bill_errors")])
likelihood <- function(b) {
  cut <- c(-Inf, b[-(1:3)], Inf) # levels follow each other
  eta <- drop(X %*% b[1:3])
  log(plogis(cut[as.integer(d$answer) + 1] - eta) - plogis(cut[as.integer(d$answer)] - eta))
}
b <- c(coef(odds), odds$zeta)
central <- function(j, h) (likelihood(b + h * (seq_along(b) == j)) - likelihood(b - h * (seq_along(b) == j))) / (2 * h)
scores <- sapply(seq_along(b), function(j) (4 * central(j, 5e-4) - central(j, 1e-3)) / 3)
meat <- crossprod(rowsum(scores, d$site_id)) * G / (G - 1) * (nrow(d) - 1) / (nrow(d) - length(b))
say("ordinal_sites", setNames(as.list(sqrt(diag(vcov(odds) %*% meat %*% vcov(odds)))[1:3] * own), names(own)))

write_witness(c("MASS", "car", "jsonlite"))
