"""The works a methods paragraph may cite, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bayes_hte.reporting.page.markup import text

_DOI = re.compile(r"doi:\s*(10\.\S*[^\s.,;)])")


@dataclass(frozen=True)
class Reference:
    """A published work.

    Attributes
    ----------
    short : str
        As cited in a text, e.g. ``"Rubin 1981"``.
    full : str
        As listed, with ``doi:...`` where there is one.
    """

    short: str
    full: str


REFERENCES: dict[str, Reference] = {
    "bart": Reference(
        "Chipman et al. 2010",
        "Chipman, H. A., George, E. I., McCulloch, R. E. (2010). BART: Bayesian additive "
        "regression trees. Annals of Applied Statistics 4, 266-298. doi:10.1214/09-AOAS285",
    ),
    "bcf": Reference(
        "Hahn et al. 2020",
        "Hahn, P. R., Murray, J. S., Carvalho, C. M. (2020). Bayesian regression tree models for "
        "causal inference. Bayesian Analysis 15, 965-1056. doi:10.1214/19-BA1195",
    ),
    "metalearners": Reference(
        "Künzel et al. 2019",
        "Künzel, S. R., Sekhon, J. S., Bickel, P. J., Yu, B. (2019). Metalearners for estimating "
        "heterogeneous treatment effects using machine learning. Proceedings of the National "
        "Academy of Sciences 116, 4156-4165. doi:10.1073/pnas.1804597116",
    ),
    "propensity": Reference(
        "Rosenbaum and Rubin 1983",
        "Rosenbaum, P. R., Rubin, D. B. (1983). The central role of the propensity score in "
        "observational studies for causal effects. Biometrika 70, 41-55. "
        "doi:10.1093/biomet/70.1.41",
    ),
    "mundlak": Reference(
        "Mundlak 1978",
        "Mundlak, Y. (1978). On the pooling of time series and cross section data. Econometrica "
        "46, 69-85. doi:10.2307/1913646",
    ),
    "mediation": Reference(
        "Imai et al. 2010a",
        "Imai, K., Keele, L., Tingley, D. (2010a). A general approach to causal mediation "
        "analysis. Psychological Methods 15, 309-334. doi:10.1037/a0020761",
    ),
    "ignorability": Reference(
        "Imai et al. 2010b",
        "Imai, K., Keele, L., Yamamoto, T. (2010b). Identification, inference and sensitivity "
        "analysis for causal mediation effects. Statistical Science 25, 51-71. "
        "doi:10.1214/10-STS321",
    ),
    "explanation": Reference(
        "VanderWeele 2015",
        "VanderWeele, T. J. (2015). Explanation in Causal Inference. Oxford University Press.",
    ),
    "bootstrap": Reference(
        "Rubin 1981",
        "Rubin, D. B. (1981). The Bayesian bootstrap. Annals of Statistics 9, 130-134. "
        "doi:10.1214/aos/1176345338",
    ),
    "mlearner": Reference(
        "Li et al. 2025",
        "Li, X., Liu, Y., Jiang, Z., Xia, L., Hobbs, B. P., Wei, P. (2025). M-learner: a flexible "
        "and powerful framework to study heterogeneous treatment effect in mediation model. arXiv "
        "2505.17917. doi:10.48550/arXiv.2505.17917",
    ),
    "honest": Reference(
        "Athey and Imbens 2016",
        "Athey, S., Imbens, G. (2016). Recursive partitioning for heterogeneous causal effects. "
        "Proceedings of the National Academy of Sciences 113, 7353-7360. "
        "doi:10.1073/pnas.1510489113",
    ),
    "projection": Reference(
        "Woody et al. 2021",
        "Woody, S., Carvalho, C. M., Murray, J. S. (2021). Model interpretation through "
        "lower-dimensional posterior summarization. Journal of Computational and Graphical "
        "Statistics 30, 144-161. doi:10.1080/10618600.2020.1796684",
    ),
    "partition": Reference(
        "Wade and Ghahramani 2018",
        "Wade, S., Ghahramani, Z. (2018). Bayesian cluster analysis: point estimation and credible "
        "balls. Bayesian Analysis 13, 559-626. doi:10.1214/17-BA1073",
    ),
    "tsne": Reference(
        "van der Maaten and Hinton 2008",
        "van der Maaten, L., Hinton, G. (2008). Visualizing data using t-SNE. Journal of Machine "
        "Learning Research 9, 2579-2605.",
    ),
    "cart": Reference(
        "Breiman et al. 1984",
        "Breiman, L., Friedman, J. H., Olshen, R. A., Stone, C. J. (1984). Classification and "
        "Regression Trees. Wadsworth.",
    ),
    "pymc": Reference(
        "Abril-Pla et al. 2023",
        "Abril-Pla, O., Andreani, V., Carroll, C., et al. (2023). PyMC: a modern, and "
        "comprehensive probabilistic programming framework in Python. PeerJ Computer Science 9, "
        "e1516. doi:10.7717/peerj-cs.1516",
    ),
    "arviz": Reference(
        "Kumar et al. 2019",
        "Kumar, R., Carroll, C., Hartikainen, A., Martin, O. (2019). ArviZ a unified library for "
        "exploratory analysis of Bayesian models in Python. Journal of Open Source Software 4, "
        "1143. doi:10.21105/joss.01143",
    ),
    "horseshoe": Reference(
        "Piironen and Vehtari 2017",
        "Piironen, J., Vehtari, A. (2017). Sparsity information and regularization in the "
        "horseshoe and other shrinkage priors. Electronic Journal of Statistics 11, 5018-5051. "
        "doi:10.1214/17-EJS1337SI",
    ),
    "hsgp": Reference(
        "Riutort-Mayol et al. 2023",
        "Riutort-Mayol, G., Bürkner, P.-C., Andersen, M. R., Solin, A., Vehtari, A. (2023). "
        "Practical Hilbert space approximate Bayesian Gaussian processes for probabilistic "
        "programming. Statistics and Computing 33, 17. doi:10.1007/s11222-022-10167-2",
    ),
    "fitc": Reference(
        "Quiñonero-Candela and Rasmussen 2005",
        "Quiñonero-Candela, J., Rasmussen, C. E. (2005). A unifying view of sparse approximate "
        "Gaussian process regression. Journal of Machine Learning Research 6, 1939-1959.",
    ),
    "stacking": Reference(
        "Yao et al. 2018",
        "Yao, Y., Vehtari, A., Simpson, D., Gelman, A. (2018). Using stacking to average Bayesian "
        "predictive distributions. Bayesian Analysis 13, 917-1007. doi:10.1214/17-BA1091",
    ),
    "psis": Reference(
        "Vehtari et al. 2017",
        "Vehtari, A., Gelman, A., Gabry, J. (2017). Practical Bayesian model evaluation using "
        "leave-one-out cross-validation and WAIC. Statistics and Computing 27, 1413-1432. "
        "doi:10.1007/s11222-016-9696-4",
    ),
    "auxiliary": Reference(
        "Frühwirth-Schnatter et al. 2009",
        "Frühwirth-Schnatter, S., Frühwirth, R., Held, L., Rue, H. (2009). Improved auxiliary "
        "mixture sampling for hierarchical models of non-Gaussian data. Statistics and Computing "
        "19, 479-492. doi:10.1007/s11222-008-9109-4",
    ),
    "polyagamma": Reference(
        "Polson et al. 2013",
        "Polson, N. G., Scott, J. G., Windle, J. (2013). Bayesian inference for logistic models "
        "using Polya-Gamma latent variables. Journal of the American Statistical Association 108, "
        "1339-1349. doi:10.1080/01621459.2013.829001",
    ),
    "nuts": Reference(
        "Hoffman and Gelman 2014",
        "Hoffman, M. D., Gelman, A. (2014). The No-U-Turn sampler: adaptively setting path lengths "
        "in Hamiltonian Monte Carlo. Journal of Machine Learning Research 15, 1593-1623.",
    ),
    "overlap": Reference(
        "Crump et al. 2009",
        "Crump, R. K., Hotz, V. J., Imbens, G. W., Mitnik, O. A. (2009). Dealing with limited "
        "overlap in estimation of average treatment effects. Biometrika 96, 187-199. "
        "doi:10.1093/biomet/asn055",
    ),
    "predictive": Reference(
        "Gelman et al. 1996",
        "Gelman, A., Meng, X.-L., Stern, H. (1996). Posterior predictive assessment of model "
        "fitness via realized discrepancies. Statistica Sinica 6, 733-807.",
    ),
    "repeated": Reference(
        "Cameron and Miller 2015",
        "Cameron, A. C., Miller, D. L. (2015). A practitioner's guide to cluster-robust inference. "
        "Journal of Human Resources 50, 317-372. doi:10.3368/jhr.50.2.317",
    ),
    "pit": Reference(
        "Czado et al. 2009",
        "Czado, C., Gneiting, T., Held, L. (2009). Predictive model assessment for count data. "
        "Biometrics 65, 1254-1261. doi:10.1111/j.1541-0420.2009.01191.x",
    ),
    "powerscaling": Reference(
        "Kallioinen et al. 2024",
        "Kallioinen, N., Paananen, T., Bürkner, P.-C., Vehtari, A. (2024). Detecting and "
        "diagnosing prior and likelihood sensitivity with power-scaling. Statistics and Computing "
        "34, 57. doi:10.1007/s11222-023-10366-5",
    ),
    "refutation": Reference(
        "Sharma and Kiciman 2020",
        "Sharma, A., Kiciman, E. (2020). DoWhy: an end-to-end library for causal inference. arXiv "
        "2011.04216. doi:10.48550/arXiv.2011.04216",
    ),
    "negativecontrol": Reference(
        "Lipsitch et al. 2010",
        "Lipsitch, M., Tchetgen Tchetgen, E., Cohen, T. (2010). Negative controls: a tool for "
        "detecting confounding and bias in observational studies. Epidemiology 21, 383-388. "
        "doi:10.1097/EDE.0b013e3181d61eeb",
    ),
    "scores": Reference(
        "Robins et al. 1994",
        "Robins, J. M., Rotnitzky, A., Zhao, L. P. (1994). Estimation of regression coefficients "
        "when some regressors are not always observed. Journal of the American Statistical "
        "Association 89, 846-866. doi:10.1080/01621459.1994.10476818",
    ),
    "blp": Reference(
        "Chernozhukov et al. 2018",
        "Chernozhukov, V., Demirer, M., Duflo, E., Fernandez-Val, I. (2018). Generic machine "
        "learning inference on heterogeneous treatment effects in randomized experiments. NBER "
        "working paper 24678. doi:10.3386/w24678",
    ),
    "qini": Reference(
        "Radcliffe 2007",
        "Radcliffe, N. J. (2007). Using control groups to target on predicted lift. Direct "
        "Marketing Analytics Journal 1, 14-21.",
    ),
    "rate": Reference(
        "Yadlowsky et al. 2024",
        "Yadlowsky, S., Fleming, S., Shah, N., Brunskill, E., Wager, S. (2024). Evaluating "
        "treatment prioritization rules via rank-weighted average treatment effects. Journal of "
        "the American Statistical Association. doi:10.1080/01621459.2024.2393466",
    ),
    "weighting": Reference(
        "Robins et al. 2000",
        "Robins, J. M., Hernán, M. A., Brumback, B. (2000). Marginal structural models and causal "
        "inference in epidemiology. Epidemiology 11, 550-560. "
        "doi:10.1097/00001648-200009000-00011",
    ),
    "matching": Reference(
        "Abadie and Imbens 2006",
        "Abadie, A., Imbens, G. W. (2006). Large sample properties of matching estimators for "
        "average treatment effects. Econometrica 74, 235-267. "
        "doi:10.1111/j.1468-0262.2006.00655.x",
    ),
    "balance": Reference(
        "Austin 2009",
        "Austin, P. C. (2009). Balance diagnostics for comparing the distribution of baseline "
        "covariates between treatment groups in propensity-score matched samples. Statistics in "
        "Medicine 28, 3083-3107. doi:10.1002/sim.3697",
    ),
    "evalue": Reference(
        "VanderWeele and Ding 2017",
        "VanderWeele, T. J., Ding, P. (2017). Sensitivity analysis in observational research: "
        "introducing the E-value. Annals of Internal Medicine 167, 268-274. doi:10.7326/M16-2607",
    ),
    "conversion": Reference(
        "Chinn 2000",
        "Chinn, S. (2000). A simple method for converting an odds ratio to effect size for use in "
        "meta-analysis. Statistics in Medicine 19, 3127-3131.",
    ),
    "tipping": Reference(
        "Lin et al. 1998",
        "Lin, D. Y., Psaty, B. M., Kronmal, R. A. (1998). Assessing the sensitivity of regression "
        "results to unmeasured confounders in observational studies. Biometrics 54, 948-963. "
        "doi:10.2307/2533848",
    ),
    "biasformula": Reference(
        "VanderWeele and Arah 2011",
        "VanderWeele, T. J., Arah, O. A. (2011). Bias formulas for sensitivity analysis of "
        "unmeasured confounding for general outcomes, treatments, and confounders. Epidemiology "
        "22, 42-52. doi:10.1097/EDE.0b013e3181f74493",
    ),
    "spo": Reference(
        "Mazaheri et al. 2025",
        "Mazaheri, B., Squires, C., Uhler, C. (2025). Synthetic potential outcomes and causal "
        "mixture identifiability. Proceedings of Machine Learning Research 258 (AISTATS). arXiv "
        "2405.19225. doi:10.48550/arXiv.2405.19225",
    ),
    "tensor": Reference(
        "Allman et al. 2009",
        "Allman, E. S., Matias, C., Rhodes, J. A. (2009). Identifiability of parameters in latent "
        "structure models with many observed variables. Annals of Statistics 37, 3099-3132. "
        "doi:10.1214/09-AOS689",
    ),
    "proximal": Reference(
        "Miao et al. 2018",
        "Miao, W., Geng, Z., Tchetgen Tchetgen, E. J. (2018). Identifying causal effects with "
        "proxy variables of an unmeasured confounder. Biometrika 105, 987-993. "
        "doi:10.1093/biomet/asy038",
    ),
    "hausman": Reference(
        "Hausman 1978",
        "Hausman, J. A. (1978). Specification tests in econometrics. Econometrica 46, 1251-1271. "
        "doi:10.2307/1913827",
    ),
    "priorview": Reference(
        "Gabry et al. 2019",
        "Gabry, J., Simpson, D., Vehtari, A., Betancourt, M., Gelman, A. (2019). Visualization in "
        "Bayesian workflow. Journal of the Royal Statistical Society A 182, 389-402. "
        "doi:10.1111/rssa.12378",
    ),
    "conflict": Reference(
        "Evans and Moshonov 2006",
        "Evans, M., Moshonov, H. (2006). Checking for prior-data conflict. Bayesian Analysis 1, "
        "893-914. doi:10.1214/06-BA129",
    ),
    "path": Reference(
        "Kent et al. 2020",
        "Kent, D. M., Paulus, J. K., van Klaveren, D., et al. (2020). The Predictive Approaches to "
        "Treatment effect Heterogeneity (PATH) Statement. Annals of Internal Medicine 172, 35-45. "
        "doi:10.7326/M18-3667",
    ),
    "iceman": Reference(
        "Schandelmaier et al. 2020",
        "Schandelmaier, S., Briel, M., Varadhan, R., et al. (2020). Development of the Instrument "
        "to assess the Credibility of Effect Modification Analyses (ICEMAN) in randomized "
        "controlled trials and meta-analyses. CMAJ 192, E901-E906. doi:10.1503/cmaj.200077",
    ),
    "agrema": Reference(
        "Lee et al. 2021",
        "Lee, H., Cashin, A. G., Lamb, S. E., et al. (2021). A Guideline for Reporting Mediation "
        "Analyses of Randomized Trials and Observational Studies: The AGReMA Statement. JAMA 326, "
        "1045-1056. doi:10.1001/jama.2021.14075",
    ),
    "barg": Reference(
        "Kruschke 2021",
        "Kruschke, J. K. (2021). Bayesian Analysis Reporting Guidelines. Nature Human Behaviour 5, "
        "1282-1291. doi:10.1038/s41562-021-01177-7",
    ),
    "rhat": Reference(
        "Vehtari et al. 2021",
        "Vehtari, A., Gelman, A., Simpson, D., Carpenter, B., Bürkner, P.-C. (2021). "
        "Rank-normalization, folding, and localization: an improved R-hat for assessing "
        "convergence of MCMC. Bayesian Analysis 16, 667-718. doi:10.1214/20-BA1221",
    ),
}


def linked(reference: str) -> str:
    """Return a reference as safe HTML, its DOI a link."""
    parts = _DOI.split(reference)
    pieces = [text(parts[0])]
    for doi, rest in zip(parts[1::2], parts[2::2], strict=True):
        pieces.append(f'<a href="https://doi.org/{text(doi)}">doi:{text(doi)}</a>{text(rest)}')
    return "".join(pieces)
