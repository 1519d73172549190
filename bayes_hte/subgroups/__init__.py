"""The M-learner: observed subgroups of units with similar effects, with uncertain membership."""

from bayes_hte.subgroups.conditions import Condition
from bayes_hte.subgroups.discovery import m_learner
from bayes_hte.subgroups.embedding import Tsne
from bayes_hte.subgroups.profile import Node, Profile
from bayes_hte.subgroups.result import Subgroups

__all__ = ["Condition", "Node", "Profile", "Subgroups", "Tsne", "m_learner"]
