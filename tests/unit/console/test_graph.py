# SPDX-License-Identifier: Apache-2.0
"""The small picture: the same every time, nothing over another, and a table where it would say nothing."""

from comity.console.graph import HEIGHT, MOST_DRAWN, WIDTH, draw_layers

LAYERS = {"a": 0, "b": 1, "c": 1, "d": -1, "e": 2}
LINKS = [("a", "b"), ("a", "c"), ("d", "a"), ("c", "e"), ("b", "c")]


def test_who_refers_is_left_of_what_it_refers_to() -> None:
    drawing = draw_layers(LAYERS, LINKS)
    assert drawing is not None
    at = {node.id: node for node in drawing.nodes}
    assert at["d"].x < at["a"].x < at["b"].x == at["c"].x < at["e"].x
    assert [(line.source, line.target) for line in drawing.lines] == LINKS


def test_no_box_is_over_another_and_all_are_inside() -> None:
    drawing = draw_layers({f"n{number}": number % 5 - 2 for number in range(MOST_DRAWN)}, [])
    assert drawing is not None
    nodes = drawing.nodes
    for place, one in enumerate(nodes):
        assert 0 <= one.x <= drawing.width - WIDTH
        assert 0 <= one.y <= drawing.height - HEIGHT
        for other in nodes[:place]:
            assert abs(one.x - other.x) >= WIDTH or abs(one.y - other.y) >= HEIGHT


def test_a_layer_of_one_stands_beside_the_middle_of_a_layer_of_many() -> None:
    drawing = draw_layers({"m": 0, **{f"r{number}": 1 for number in range(5)}}, [])
    assert drawing is not None
    at = {node.id: node.y for node in drawing.nodes}
    assert at["m"] == at["r2"]
    assert max(at.values()) <= drawing.height - HEIGHT


def test_the_same_input_is_the_same_picture() -> None:
    turned = dict(reversed(LAYERS.items()))
    one, other = draw_layers(LAYERS, LINKS), draw_layers(turned, LINKS)
    assert one is not None
    assert other is not None
    assert {(node.id, node.x, node.y) for node in one.nodes} == {(node.id, node.x, node.y) for node in other.nodes}


def test_linked_objects_stand_on_one_height() -> None:
    layers = {"m": 0, **{f"l{n}": -1 for n in range(4)}, **{f"r{n}": 1 for n in range(4)}}
    links = [(f"l{n}", "m") for n in range(4)] + [("m", f"r{n}") for n in range(4)] + [("r3", "l0"), ("r0", "l3")]
    drawing = draw_layers(layers, links)
    assert drawing is not None
    at = {node.id: node.y for node in drawing.nodes}
    assert at["r3"] < at["r0"]


def test_too_many_or_one_alone_are_not_drawn() -> None:
    assert draw_layers({f"n{number}": 1 for number in range(MOST_DRAWN + 1)}, []) is None
    assert draw_layers({"a": 0}, []) is None
    assert draw_layers({}, []) is None
