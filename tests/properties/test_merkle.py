# SPDX-License-Identifier: Apache-2.0
"""The tree agrees with RFC 6962 word by word, only ever grows, and no altered proof verifies."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import ProofMismatch
from comity.tlog.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from tests.trees import NaiveTree, TileStore, fake_hashes

LARGEST, EXHAUSTIVE = 300, 64
HASHES = fake_hashes(1_000)
NAIVE = NaiveTree(HASHES)
STORE = TileStore([HASHES])
SIZES = st.integers(1, LARGEST)


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


def check_leaf(index: int, size: int) -> None:
    proof = inclusion_proof(STORE.read, index, size)
    assert proof == NAIVE.path(index, size)
    assert verify_inclusion(HASHES[index], index, size, proof, NAIVE.root(size)) == NAIVE.root(size)


def check_growth(old: int, new: int) -> None:
    proof = consistency_proof(STORE.read, old, new)
    assert proof == NAIVE.proof(old, new)
    assert verify_consistency(old, new, proof, NAIVE.root(old), NAIVE.root(new)) == NAIVE.root(new)


def test_the_root_of_every_size_is_the_naive_one() -> None:
    grown = TileStore()
    for size in range(LARGEST + 1):
        assert root_hash(grown.read, size) == root_hash(STORE.read, size) == NAIVE.root(size)
        grown.append(HASHES[size : size + 1])


def test_every_inclusion_proof_of_small_trees_is_the_naive_one() -> None:
    for size in range(1, EXHAUSTIVE + 1):
        for index in range(size):
            check_leaf(index, size)


def test_every_consistency_proof_of_small_trees_is_the_naive_one() -> None:
    for new in range(1, EXHAUSTIVE + 1):
        for old in range(1, new + 1):
            check_growth(old, new)


@pytest.mark.slow
def test_every_proof_of_every_tree_up_to_1_025_leaves_is_the_naive_one() -> None:
    """Four full tiles and one leaf more: each edge of a tile, and of the level above it, is among them."""
    hashes = fake_hashes(1_025)
    naive, store = NaiveTree(hashes), TileStore([hashes])
    for size in range(1_026):
        root = naive.root(size)
        assert root_hash(store.read, size) == root
        for index in range(size):
            proof = inclusion_proof(store.read, index, size)
            assert proof == naive.path(index, size)
            verify_inclusion(hashes[index], index, size, proof, root)
        for old in range(1, size + 1):
            proof = consistency_proof(store.read, old, size)
            assert proof == naive.proof(old, size)
            verify_consistency(old, size, proof, naive.root(old), root)
        assert consistency_proof(store.read, 0, size) == ()


def test_proofs_of_larger_trees_are_the_naive_ones() -> None:
    draw = random.Random(6962)
    for size in range(EXHAUSTIVE + 1, LARGEST + 1):
        for index in {0, size - 1, *draw.sample(range(size), 5)}:
            check_leaf(index, size)
        for old in {1, size - 1, size, *draw.sample(range(1, size), 5)}:
            check_growth(old, size)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=8), st.integers(0, 2**32))
def test_however_leaves_are_split_into_batches_the_tree_only_grows(batches: list[int], seed: int) -> None:
    hashes = random.Random(seed).sample(HASHES, k=min(sum(batches), len(HASHES)))
    store, naive = TileStore(), NaiveTree(hashes)
    heads = [(0, EMPTY_ROOT)]
    for batch in batches:
        store.append(hashes[store.size : store.size + batch][: len(hashes) - store.size])
        heads.append((store.size, root_hash(store.read, store.size)))
        assert heads[-1][1] == naive.root(store.size)
    assert store.tiles == TileStore([hashes]).tiles
    for later, (new, new_root) in enumerate(heads):
        for old, old_root in heads[: later + 1]:
            proof = consistency_proof(store.read, old, new)
            assert verify_consistency(old, new, proof, old_root, new_root) == new_root
    assert all(old <= new for (old, _), (new, _) in pairwise(heads))


@given(st.data())
def test_no_altered_inclusion_proof_verifies(data: st.DataObject) -> None:
    size = data.draw(SIZES, "size")
    index = data.draw(st.integers(0, size - 1), "index")
    leaf, proof, root = HASHES[index], NAIVE.path(index, size), NAIVE.root(size)
    bit = data.draw(st.integers(0, 255), "bit")
    altered: list[tuple[bytes, int, tuple[bytes, ...], bytes]] = [
        (flip(leaf, bit), index, proof, root),
        (leaf, index, proof, flip(root, bit)),
        (leaf, index, (*proof, root), root),
        (leaf, index, (leaf, *proof), root),
    ]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1), "at")
        altered += [
            (leaf, index, (*proof[:at], flip(proof[at], bit), *proof[at + 1 :]), root),
            (leaf, index, (*proof[:at], *proof[at + 1 :]), root),
            (leaf, index, (*proof[:at], proof[at], *proof[at:]), root),
        ]
        other = data.draw(st.integers(0, size - 1).filter(lambda other: other != index), "other index")
        altered.append((leaf, other, proof, root))
    for some_leaf, some_index, some_proof, some_root in altered:
        with pytest.raises(ProofMismatch):
            verify_inclusion(some_leaf, some_index, size, some_proof, some_root)


@given(st.data())
def test_a_proof_verifies_elsewhere_only_where_the_path_is_the_same(data: st.DataObject) -> None:
    # The size is vouched for by the checkpoint that holds it beside the root, not by the proof alone.
    size = data.draw(SIZES, "size")
    index = data.draw(st.integers(0, size - 1), "index")
    other = data.draw(SIZES.filter(lambda other: other != size), "other size")
    elsewhere = data.draw(st.just(index) | st.integers(0, other - 1), "other index")
    proof, root = NAIVE.path(index, size), NAIVE.root(size)
    sides = [side for _, side in NAIVE.path_steps(index, 0, size)]
    if elsewhere < other and sides == [side for _, side in NAIVE.path_steps(elsewhere, 0, other)]:
        assert verify_inclusion(HASHES[index], elsewhere, other, proof, root) == root
    else:
        with pytest.raises(ProofMismatch):
            verify_inclusion(HASHES[index], elsewhere, other, proof, root)
    with pytest.raises(ProofMismatch):
        verify_inclusion(HASHES[index], elsewhere, other, proof, NAIVE.root(other))


@given(st.data())
def test_no_altered_consistency_proof_verifies(data: st.DataObject) -> None:
    new = data.draw(SIZES.filter(lambda new: new > 1), "new size")
    old = data.draw(st.integers(1, new - 1), "old size")
    proof, old_root, new_root = NAIVE.proof(old, new), NAIVE.root(old), NAIVE.root(new)
    bit = data.draw(st.integers(0, 255), "bit")
    at = data.draw(st.integers(0, len(proof) - 1), "at")
    altered = [
        ((*proof[:at], flip(proof[at], bit), *proof[at + 1 :]), old_root, new_root),
        ((*proof[:at], *proof[at + 1 :]), old_root, new_root),
        ((*proof[:at], proof[at], *proof[at:]), old_root, new_root),
        ((*proof, new_root), old_root, new_root),
        ((), old_root, new_root),
        (proof, flip(old_root, bit), new_root),
        (proof, old_root, flip(new_root, bit)),
        (proof, new_root, old_root),
    ]
    for some_proof, some_old, some_new in altered:
        with pytest.raises(ProofMismatch):
            verify_consistency(old, new, some_proof, some_old, some_new)


@given(st.data())
def test_a_consistency_proof_verifies_at_other_sizes_only_where_they_have_the_same_shape(data: st.DataObject) -> None:
    new = data.draw(SIZES.filter(lambda new: new > 1), "new size")
    old = data.draw(st.integers(1, new - 1), "old size")
    sizes = st.tuples(SIZES, SIZES).map(sorted).filter(lambda pair: pair[0] != pair[1] and pair != [old, new])
    other_old, other_new = data.draw(sizes, "other sizes")
    proof, old_root, new_root = NAIVE.proof(old, new), NAIVE.root(old), NAIVE.root(new)
    shape = [side for _, side in NAIVE.proof_steps(old, 0, new, known=True)]
    if shape == [side for _, side in NAIVE.proof_steps(other_old, 0, other_new, known=True)]:
        assert verify_consistency(other_old, other_new, proof, old_root, new_root) == new_root
    else:
        with pytest.raises(ProofMismatch):
            verify_consistency(other_old, other_new, proof, old_root, new_root)


@given(st.data())
def test_a_log_that_rewrites_a_leaf_has_no_proof_to_show(data: st.DataObject) -> None:
    new = data.draw(SIZES.filter(lambda new: new > 1), "new size")
    old = data.draw(st.integers(1, new - 1), "old size")
    rewritten = data.draw(st.integers(0, old - 1), "rewritten leaf")
    forged = [*HASHES[:rewritten], flip(HASHES[rewritten], 0), *HASHES[rewritten + 1 : new]]
    store = TileStore([forged])
    proof = consistency_proof(store.read, old, new)
    with pytest.raises(ProofMismatch):
        verify_consistency(old, new, proof, NAIVE.root(old), root_hash(store.read, new))
