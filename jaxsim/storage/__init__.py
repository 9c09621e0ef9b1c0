"""Files on the host: written atomically, checksummed, resumable; and progress bars."""

from jaxsim.storage._arrays import load_arrays as load_arrays, save_arrays as save_arrays
from jaxsim.storage._atomic import (
    recovered as recovered,
    write_bytes as write_bytes,
    write_folder as write_folder,
    write_json as write_json,
    write_text as write_text,
)
from jaxsim.storage._checksums import checksum as checksum
from jaxsim.storage._fields import (
    Fields as Fields,
    parsed_json as parsed_json,
    read_json as read_json,
    read_object as read_object,
)
from jaxsim.storage._indexes import save_faiss as save_faiss, save_usearch as save_usearch
from jaxsim.storage._progress import bar as bar
from jaxsim.storage._settings import (
    changed_settings as changed_settings,
    plain_settings as plain_settings,
)
from jaxsim.storage._targets import (
    check_file as check_file,
    check_folder as check_folder,
    check_place as check_place,
    owned as owned,
)
from jaxsim.storage._tiles import fill as fill
from jaxsim.storage._trec import (
    load_qrels as load_qrels,
    load_run as load_run,
    ranking_arrays as ranking_arrays,
    save_qrels as save_qrels,
    save_run as save_run,
)
from jaxsim.storage._vectors import load_vectors as load_vectors, save_vectors as save_vectors
from jaxsim.storage._word_vectors import (
    load_word_vectors as load_word_vectors,
    save_word_vectors as save_word_vectors,
)
