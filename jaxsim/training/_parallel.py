"""Data parallelism: the step under pmap, under shard_map, and with sharded parameters.

    params = training.fit(..., spread=training.shard_mapped)

A way of spreading is a function of the devices; what it gives places the carry, feeds batches, and
makes the step a function of both. Several processes (jax.distributed) each feed their own rows; the
carry is the same everywhere, and a checkpoint holds it once.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxsim.numerics import checks
from jaxsim.numerics._device_batches import spread as split
from jaxsim.numerics.types import ArrayTree, Batch, Objective
from jaxsim.training import _shards as shards
from jaxsim.training._objective import AXIS
from jaxsim.training._row_sparse import RowOptimizer
from jaxsim.training._step import Carry, make_step

HERE, SPLIT = PartitionSpec(), PartitionSpec(AXIS)


def pmapped(devices: Sequence[jax.Device]) -> "Pmapped":
    """Data parallelism by `jax.pmap`, parameters the same on every device: the default.

    Args:
      devices: local devices; with several processes all of them.
    """
    return Pmapped(devices)


def shard_mapped(devices: Sequence[jax.Device]) -> "ShardMapped":
    """Data parallelism by `jax.shard_map` over a mesh ("devices",), parameters the same on every device.

    Args:
      devices: as in `pmapped`.
    """
    return ShardMapped(devices, None)


def sharded(devices: Sequence[jax.Device], *, smallest: int = 2**12) -> "ShardMapped":
    """Fully sharded data parallelism (FSDP) by `jax.shard_map`: a part of parameters, moments and averages per device.

    For encoders that outgrow a device: parameters are gathered before use and their gradients
    scattered inside the step. The optimizer must be one that treats all elements equally (`clipped` does).

    Args:
      devices: as in `pmapped`.
      smallest: parameters with fewer elements stay whole, as do those that no axis of divides by the
        number of devices.
    """
    checks.whole("smallest", smallest)
    return ShardMapped(devices, smallest)


class Pmapped:
    """A carry without a device axis, batches with one."""

    def __init__(self, devices: Sequence[jax.Device]) -> None:
        self.several = jax.process_count() > 1
        _check_devices(devices, self.several)
        self.local, self.ahead = len(devices), not self.several
        self.mesh = Mesh(np.array(devices), (AXIS,))
        self.devices = list(devices)

    def start(
        self, params: ArrayTree, state: ArrayTree | None, optimizer: Any, average: float | None
    ) -> Carry:
        """The carry of a run's start; the arrays given are copied."""
        return self.place(_started(*_copied((params, state)), optimizer, average))

    def place(self, carry: Carry) -> Carry:
        """A carry placed as the step returns it: elsewhere, the second step would compile again."""
        if self.several:
            carry = jax.tree.map(lambda a: a.addressable_data(0) if _is_global(a) else a, carry)
        return jax.device_put(carry, NamedSharding(self.mesh, HERE))

    def whole(self, carry: Carry) -> Carry:
        """The carry as checkpoints hold it: arrays over all processes."""
        if self.several:
            return multihost_utils.host_local_array_to_global_array(carry, self._everywhere(), HERE)
        return carry

    def feed(self, batch: Batch) -> Batch:
        """This process's rows, with a leading axis for its devices."""
        return split(batch, self.local)

    def stop(self, asked: bool) -> np.ndarray | None:
        """Whether this process was asked to stop, for the step; None where it is the only one."""
        return _per_device(asked, self.local) if self.several else None

    def step(
        self, objective: Objective, optimizer: Any, carry: Carry, average: float | None = None
    ) -> Callable[..., tuple]:
        """The jitted step (carry, batch, key, stop) -> (carry, loss, metrics, stop), carry donated."""
        return jax.pmap(
            _agreeing(make_step(objective, optimizer, average=average)),
            AXIS,
            in_axes=(None, 0, None, 0),
            out_axes=None,
            devices=None if self.several else self.devices,
            donate_argnums=0,
        )

    @staticmethod
    def _everywhere():
        return Mesh(np.array(jax.devices()), (AXIS,))


class ShardMapped:
    """A carry of arrays over the mesh, whole or split, and batches of arrays over the mesh."""

    def __init__(self, devices: Sequence[jax.Device], smallest: int | None) -> None:
        self.several = jax.process_count() > 1
        _check_devices(devices, self.several)
        self.local, self.ahead, self.smallest = len(devices), True, smallest
        everywhere = np.array(jax.devices() if self.several else devices)
        self.mesh = Mesh(everywhere, (AXIS,), axis_types=(AxisType.Auto,))
        self.count = len(everywhere)

    def start(
        self, params: ArrayTree, state: ArrayTree | None, optimizer: Any, average: float | None
    ) -> Carry:
        """The carry of a run's start; the arrays given are copied."""
        if self.smallest is None:
            return self.place(_started(*_copied((params, state)), optimizer, average))
        params = _copied(self._placed(params, self._specs(params)))
        begin = functools.partial(_started, optimizer=optimizer, average=average)
        shapes = jax.eval_shape(begin, params, state)
        placed = self._shardings(self._specs_of(shapes))
        return _copied(jax.jit(begin, out_shardings=placed)(params, state))

    def place(self, carry: Carry) -> Carry:
        """A carry as the step takes it, from one that is whole or that a checkpoint held."""
        return self._placed(carry, self._specs_of(carry))

    def whole(self, carry: Carry) -> Carry:
        """The carry as checkpoints hold it: as it is."""
        return carry

    def feed(self, batch: Batch) -> Batch:
        """This process's rows as its part of arrays over the mesh."""
        rows = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), split(batch, self.local))
        rows_over_mesh = NamedSharding(self.mesh, SPLIT)
        if self.several:
            return jax.tree.map(
                lambda a: jax.make_array_from_process_local_data(rows_over_mesh, a), rows
            )
        return jax.device_put(rows, rows_over_mesh)

    def stop(self, asked: bool) -> jax.Array | None:
        """Whether this process was asked to stop, for the step; None where it is the only one."""
        if not self.several:
            return None
        return jax.make_array_from_process_local_data(
            NamedSharding(self.mesh, SPLIT), _per_device(asked, self.local)
        )

    def step(
        self, objective: Objective, optimizer: Any, carry: Carry, average: float | None = None
    ) -> Callable[..., tuple]:
        """The jitted step (carry, batch, key, stop) -> (carry, loss, metrics, stop), carry donated."""
        layout = None
        if self.smallest is not None:
            if isinstance(optimizer, RowOptimizer):
                raise ValueError(
                    "sharded parameters need an optax transformation, got a RowOptimizer"
                )
            shards.check_elementwise(optimizer, jax.eval_shape(lambda p: p, carry.params))
            layout = jax.tree.map(self._axis, carry.params)
        local = make_step(objective, optimizer, layout=layout, average=average)
        specs = self._specs_of(carry)
        # Unchecked: a scan that starts from constants is then no error, and gradients come as under pmap.
        mapped = jax.shard_map(
            _agreeing(local),
            mesh=self.mesh,
            in_specs=(specs, SPLIT, HERE, SPLIT),
            out_specs=(specs, HERE, HERE, HERE),
            check_vma=False,
        )
        return jax.jit(mapped, donate_argnums=0)

    def _axis(self, leaf):
        return shards.split_axis(leaf.shape, self.count, self.smallest)

    def _specs(self, tree):
        def spec(leaf):
            axis = shards.WHOLE if self.smallest is None else self._axis(leaf)
            return HERE if axis == shards.WHOLE else PartitionSpec(*[None] * axis, AXIS)

        return jax.tree.map(spec, tree)

    def _specs_of(self, carry):
        """Parameters, moments and averages are split by their shapes; the objective's state is whole."""
        whole = jax.tree.map(lambda leaf: HERE, carry)
        return whole._replace(
            params=self._specs(carry.params),
            optimizer=self._specs(carry.optimizer),
            average=self._specs(carry.average),
        )

    def _shardings(self, specs):
        return jax.tree.map(lambda spec: NamedSharding(self.mesh, spec), specs)

    def _placed(self, tree, specs):
        def put(leaf, sharding):
            if not self.several or _is_global(leaf):
                return jax.device_put(leaf, sharding)
            host = np.asarray(leaf)
            return jax.make_array_from_callback(host.shape, sharding, lambda part: host[part])

        return jax.tree.map(put, tree, self._shardings(specs))


def _started(params, state, optimizer, average):
    moments = optimizer.init(params)
    mean = None if average is None else jax.tree.map(jnp.copy, params)
    return Carry(params, moments, state, jnp.int32(0), jnp.asarray(True), mean)


def _copied(tree):
    """The first step is given the carry's memory, and the caller's arrays stay theirs."""
    return jax.tree.map(jnp.array, tree)


def _per_device(asked, devices):
    return np.full(devices, asked, np.int32)


def _agreeing(step):
    """The step, which also returns whether any process was asked to stop.

    Processes agree on it within the step: a separate program could overtake it.
    """

    def local(carry, batch, key, stop):
        carry, loss, metrics = step(carry, batch, key)
        return carry, loss, metrics, None if stop is None else jax.lax.pmax(stop.max(), AXIS)

    return local


def _is_global(leaf):
    return isinstance(leaf, jax.Array) and not leaf.is_fully_addressable


def _check_devices(devices, several):
    if several and len(devices) != len(jax.local_devices()):
        raise ValueError(
            f"with several processes devices must be all {len(jax.local_devices())} local ones, "
            f"got {len(devices)}"
        )
