"""The engine that is AWS itself: the same template in a real account, and everything taken down again."""

from harness.engines.aws.account import Account, AccountOptions, Identity
from harness.engines.aws.engine import AwsEngine, deployed
from harness.engines.aws.leftovers import Leftover, find_leftovers, remove_leftovers

__all__ = [
    "Account",
    "AccountOptions",
    "AwsEngine",
    "Identity",
    "Leftover",
    "deployed",
    "find_leftovers",
    "remove_leftovers",
]
