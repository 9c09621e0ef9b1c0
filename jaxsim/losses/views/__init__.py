"""Self-supervised losses and regularizers on embeddings without labels."""

from jaxsim.losses.views._global_orthogonal import global_orthogonal as global_orthogonal
from jaxsim.losses.views._sparse import (
    csr_reconstruction as csr_reconstruction,
    flops as flops,
    splade as splade,
)
from jaxsim.losses.views._vicreg import barlow_twins as barlow_twins, vicreg as vicreg
