# SPDX-License-Identifier: Apache-2.0
import pytest

from comity.errors import LogMismatch, MalformedRequest, ProofMismatch
from comity.tlog.merkle import (
    EMPTY_ROOT,
    Subtrees,
    append_leaves,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_hash,
    tile_path,
    verify_consistency,
    verify_inclusion,
)
from tests.trees import NaiveTree, TileStore, fake_hashes

# The leaves and roots that the reference implementations of Certificate Transparency are tested with.
CT_LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = fake_hashes(65_793)


@pytest.fixture(scope="module")
def large() -> TileStore:
    """257 full tiles and one leaf: three levels."""
    return TileStore([HASHES])


@pytest.fixture(scope="module")
def naive() -> NaiveTree:
    return NaiveTree(HASHES)


def test_the_roots_are_those_of_certificate_transparency() -> None:
    leaves = [bytes.fromhex(text) for text in CT_LEAVES]
    store = TileStore([leaf_hash(leaf)] for leaf in leaves)
    assert [root_hash(store.read, size).hex() for size in range(9)] == CT_ROOTS
    assert CT_ROOTS[0] == EMPTY_ROOT.hex()


def test_a_leaf_and_a_node_of_the_same_bytes_differ() -> None:
    left, right = HASHES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 65_792, 65_793])
def test_roots_and_proofs_around_the_edges_of_tiles(size: int, large: TileStore, naive: NaiveTree) -> None:
    root = root_hash(large.read, size)
    assert root == naive.root(size)
    for index in {0, 1, 254, 255, 256, 257, 65_535, 65_536, size - 2, size - 1}:
        if 0 <= index < size:
            proof = inclusion_proof(large.read, index, size)
            assert proof == naive.path(index, size)
            assert verify_inclusion(HASHES[index], index, size, proof, root) == root
    for old in {1, 2, 255, 256, 257, 65_535, 65_536, 65_537, size - 1, size}:
        if 0 < old <= size:
            proof = consistency_proof(large.read, old, size)
            assert proof == naive.proof(old, size)
            assert verify_consistency(old, size, proof, naive.root(old), root) == root


def test_70_000_leaves_make_the_tiles_that_c2sp_counts() -> None:
    # "273 full level 0 tiles, one partial level 0 tile of width 112, one full level 1 tile, one partial level 1 tile
    # of width 17, and one partial level 2 tile of width 1"
    store = TileStore([fake_hashes(70_000)])
    widths = {place: len(hashes) // 32 for place, hashes in store.tiles.items()}
    expected = {(0, index): 256 for index in range(273)} | {(0, 273): 112, (1, 0): 256, (1, 1): 17, (2, 0): 1}
    assert widths == expected


@pytest.mark.parametrize(
    ("size", "added", "written"),
    [
        (0, 0, []),
        (0, 1, [(0, 0)]),
        (254, 1, [(0, 0)]),
        (255, 1, [(0, 0), (1, 0)]),
        (256, 1, [(0, 1)]),
        (255, 2, [(0, 0), (0, 1), (1, 0)]),
        (65_535, 1, [(0, 255), (1, 0), (2, 0)]),
        (65_536, 1, [(0, 256)]),
        (65_791, 1, [(0, 256), (1, 1)]),
    ],
)
def test_only_tiles_that_grow_are_written(size: int, added: int, written: list[tuple[int, int]]) -> None:
    store = TileStore([HASHES[:size]])
    assert store.append(HASHES[size : size + added]) == written


def test_how_many_tiles_are_read(large: TileStore) -> None:
    def reads_of(size: int, act: str) -> int:
        large.reads.clear()
        if act == "append":
            append_leaves(large.read, size, HASHES[:1])
        elif act == "root":
            root_hash(large.read, size)
        elif act == "inclusion":
            inclusion_proof(large.read, 700, size)
        else:
            consistency_proof(large.read, 700, size)
        assert len(set(large.reads)) == len(large.reads), "a tile was read twice"
        return len(large.reads)

    budget = {"append": 1, "root": 3, "inclusion": 4, "consistency": 4}
    assert {act: reads_of(65_793, act) for act in budget} == budget
    assert reads_of(65_792, "append") == 0
    assert reads_of(65_535, "append") == 2


def test_a_root_by_what_is_known_of_a_tree_that_grows_is_its_root(naive: NaiveTree) -> None:
    store, known = TileStore(), Subtrees()
    for step in (1, 1, 1, 253, 1, 3, 252, 600, 1, 64_424, 256):
        store.append(HASHES[store.size : store.size + step])
        assert root_hash(store.read, store.size, known) == naive.root(store.size)
        store.reads.clear()
        assert root_hash(store.read, store.size, known) == naive.root(store.size)
        assert not store.reads
    assert root_hash(store.read, 3, known) == naive.root(3)
    assert set(known) == {(0, 1), (2, 0)}
    assert root_hash(store.read, 0, known) == EMPTY_ROOT
    assert not known


def test_a_tile_may_hold_more_than_the_size_asked_about(naive: NaiveTree) -> None:
    # A process that died after writing tiles and before the head: the next append overwrites what is beyond.
    store = TileStore([HASHES[:300]])
    store.size = 260
    store.append(HASHES[1000:1001])
    assert root_hash(store.read, 260) == naive.root(260)
    assert root_hash(store.read, 261) == NaiveTree([*HASHES[:260], HASHES[1000]]).root(261)
    assert len(store.tiles[0, 1]) == 5 * 32


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0)])
@pytest.mark.parametrize("kept", [0, 31])
def test_a_tile_cut_short_is_noticed(place: tuple[int, int], kept: int) -> None:
    store = TileStore([HASHES[:600]])
    store.tiles[place] = store.tiles[place][:kept]
    with pytest.raises(LogMismatch, match="is damaged"):
        # The first leaf's path holds the rest of its own tile, the next tile, and the tiles after it.
        [inclusion_proof(store.read, index, 600) for index in (0, 300, 599)]


def test_an_append_to_a_damaged_tile_is_refused() -> None:
    store = TileStore([HASHES[:5]])
    store.tiles[0, 0] = store.tiles[0, 0][:-1]
    with pytest.raises(LogMismatch, match=r"tile/0/000.p/5 holds 159 bytes where the tree needs 160"):
        store.append(HASHES[5:6])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 1), (5, 3)])
def test_there_is_no_proof_for_a_leaf_that_is_not_there(index: int, size: int) -> None:
    store = TileStore([HASHES[:8]])
    with pytest.raises(MalformedRequest, match="no leaf"):
        inclusion_proof(store.read, index, size)
    with pytest.raises(ProofMismatch, match="no leaf"):
        verify_inclusion(HASHES[0], index, size, (), HASHES[0])


@pytest.mark.parametrize(("old", "new"), [(2, 1), (-1, 1), (1, 0)])
def test_there_is_no_proof_from_a_larger_tree_to_a_smaller(old: int, new: int) -> None:
    store = TileStore([HASHES[:8]])
    with pytest.raises(MalformedRequest, match="not the beginning"):
        consistency_proof(store.read, old, new)
    with pytest.raises(ProofMismatch, match="not the beginning"):
        verify_consistency(old, new, (), EMPTY_ROOT, EMPTY_ROOT)


def test_the_empty_tree_begins_every_tree() -> None:
    store = TileStore([HASHES[:8]])
    root = root_hash(store.read, 8)
    assert consistency_proof(store.read, 0, 8) == ()
    assert verify_consistency(0, 8, (), EMPTY_ROOT, root) == root
    assert verify_consistency(0, 0, (), EMPTY_ROOT, EMPTY_ROOT) == EMPTY_ROOT
    with pytest.raises(ProofMismatch, match="differ"):
        verify_consistency(0, 8, (), root, root)
    with pytest.raises(ProofMismatch, match="need no proof"):
        verify_consistency(0, 8, (root,), EMPTY_ROOT, root)


def test_a_tree_is_consistent_with_itself_only_under_one_root() -> None:
    store = TileStore([HASHES[:8]])
    root, other = root_hash(store.read, 8), root_hash(store.read, 7)
    assert verify_consistency(8, 8, (), root, root) == root
    with pytest.raises(ProofMismatch, match="differ"):
        verify_consistency(8, 8, (), root, other)
    with pytest.raises(ProofMismatch, match="need no proof"):
        verify_consistency(8, 8, (root,), root, root)


def test_a_consistency_proof_that_is_empty_is_refused() -> None:
    with pytest.raises(ProofMismatch, match="is empty"):
        verify_consistency(3, 5, (), HASHES[0], HASHES[1])
    with pytest.raises(ProofMismatch, match="cut short"):
        verify_consistency(4, 5, (), HASHES[0], HASHES[1])


def test_a_proof_may_not_go_on_above_the_root(naive: NaiveTree) -> None:
    # The hashes are right, only the tree is said to be smaller: leaf 2 of 4 as leaf 0 of 2, 7 of 8 as 3 of 4.
    with pytest.raises(ProofMismatch, match="more hashes than the tree is high"):
        verify_inclusion(HASHES[2], 0, 2, naive.path(2, 4), naive.root(4))
    with pytest.raises(ProofMismatch, match="more hashes than the tree is high"):
        verify_consistency(3, 4, naive.proof(7, 8), naive.root(7), naive.root(8))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_hash_of_another_length_is_refused(length: int) -> None:
    # Two hashes cut apart elsewhere are the same bytes to SHA-256.
    left, right = HASHES[:2]
    root = node_hash(left, right)
    whole = left + right
    assert node_hash(whole[:length], whole[length:]) == root
    with pytest.raises(ProofMismatch, match="has 32"):
        verify_inclusion(whole[:length], 0, 2, (whole[length:],), root)
    with pytest.raises(ProofMismatch, match="has 32"):
        verify_consistency(1, 2, (whole[length:],), whole[:length], root)
    with pytest.raises(ProofMismatch, match="has 32"):
        append_leaves(TileStore().read, 0, [whole[:length]])


@pytest.mark.parametrize(
    ("level", "index", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 67, 17, "tile/0/067.p/17"),
        (0, 1_067, 17, "tile/0/x001/067.p/17"),
        (1, 999, 1, "tile/1/999.p/1"),
        (1, 1_000, 255, "tile/1/x001/000.p/255"),
        (63, 1_234_067, 256, "tile/63/x001/x234/067"),
    ],
)
def test_tile_paths_are_those_of_c2sp(level: int, index: int, width: int, path: str) -> None:
    assert tile_path(level, index, width) == path


@pytest.mark.parametrize(("level", "index", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_tiles_that_cannot_be_have_no_path(level: int, index: int, width: int) -> None:
    with pytest.raises(MalformedRequest, match="no tile"):
        tile_path(level, index, width)
