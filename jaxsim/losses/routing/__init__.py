"""Losses on the logits of routers, which choose among experts."""

from jaxsim.losses.routing._routing import (
    enforced_routing as enforced_routing,
    load_balance as load_balance,
    router_z as router_z,
    routing_information as routing_information,
    routing_information_released as routing_information_released,
)
