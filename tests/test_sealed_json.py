import json

import pytest

from ssdet.sealed_json import KEY, opened, sealed

CONTENT = {"b": [1, 0.1, None], "a": {"name": "käse", "yes": True}}


def test_a_round_trip():
    text = json.dumps(sealed(CONTENT), ensure_ascii=False)
    assert list(json.loads(text))[-1] == KEY
    assert opened(json.loads(text)) == CONTENT


def test_order_and_spelling_do_not_matter():
    read = json.loads(json.dumps(sealed(CONTENT)).replace("0.1", "1.0e-1"))
    assert opened(dict(reversed(read.items()))) == CONTENT


def test_a_tuple_is_a_list():
    assert opened(json.loads(json.dumps(sealed({"a": (1, 2)})))) == {"a": [1, 2]}


def test_every_changed_digit_is_noticed():
    text = json.dumps(sealed(CONTENT))
    for place, letter in enumerate(text):
        if letter.isdigit() and place < text.index(KEY):
            changed = f"{text[:place]}{(int(letter) + 1) % 10}{text[place + 1 :]}"
            with pytest.raises(ValueError, match=f"its {KEY} does not fit"):
                opened(json.loads(changed))


def test_what_has_no_hash_is_believed():
    assert opened({"a": 1}) == {"a": 1}
