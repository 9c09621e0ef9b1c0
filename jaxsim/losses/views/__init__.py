"""Self-supervised losses and regularizers on embeddings without labels."""

from jaxsim.losses.views._barlow_twins import barlow_twins as barlow_twins
from jaxsim.losses.views._csr_reconstruction import csr_reconstruction as csr_reconstruction
from jaxsim.losses.views._flops import flops as flops, splade as splade
from jaxsim.losses.views._gaussian_elbo import gaussian_elbo as gaussian_elbo
from jaxsim.losses.views._global_orthogonal import global_orthogonal as global_orthogonal
from jaxsim.losses.views._vicreg import vicreg as vicreg
