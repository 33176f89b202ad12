"""Keys and values of the running sequences: one slot a sequence, its tokens from position 0 on.

Sequences start at position 0 of their slot instead of being aligned at their ends, so where a key lies
does not depend on its neighbours. Together with row and length counts that are multiples of `ALIGN`, this
makes a row's arithmetic the same in every batch (see `engine.py`).
"""

import torch

ALIGN = 16


def aligned(count: int) -> int:
    """The smallest multiple of ALIGN that is at least `count` (and at least ALIGN)."""
    return max(ALIGN, -(-count // ALIGN) * ALIGN)


class SlotCache:
    """Per layer keys [slots, kv_heads, head_dim, length] and values [slots, kv_heads, length, head_dim].

    Both grow on demand. Keys lie transposed, as the product with a query reads them. Layers announce their own
    shapes with the first keys they write, so models whose layers differ work.

    Args:
        most_slots, most_length: neither grows beyond these, aligned; ahead of what is asked for, both grow by doubling.
    """

    def __init__(self, most_slots: int, most_length: int):
        self._most_slots, self._most_length = aligned(most_slots), aligned(most_length)
        self._keys: dict[int, torch.Tensor] = {}
        self._values: dict[int, torch.Tensor] = {}
        self._slots = 0
        self._length = 0

    @property
    def nbytes(self) -> int:
        """Bytes held by all layers together."""
        tensors = [*self._keys.values(), *self._values.values()]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def reserve(self, slots: int, length: int) -> None:
        """Make room for `slots` sequences of `length` tokens; what is stored stays."""
        if slots > self._slots:
            self._slots = aligned(max(slots, min(2 * self._slots, slots + 256, self._most_slots)))
        if length > self._length:
            self._length = aligned(max(length, min(2 * self._length, length + 1024, self._most_length)))

    def write_prompts(self, layer: int, slots: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Store whole prompts: keys, values [len(slots), kv_heads, prompt_length, head_dim]."""
        stored_keys, stored_values = self._tensors(layer, keys, values)
        stored_keys[slots, :, :, : keys.shape[2]] = keys.transpose(2, 3)
        stored_values[slots, :, : values.shape[2]] = values

    def write_tokens(
        self, layer: int, positions: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store one token for each of the first N slots and return the layer's keys and values.

        Args:
            positions: [N] int64, where each slot's token goes.
            keys, values: [N, kv_heads, 1, head_dim].
        """
        stored_keys, stored_values = self._tensors(layer, keys, values)
        rows = torch.arange(positions.shape[0], device=positions.device)
        stored_keys[rows, :, :, positions] = keys[:, :, 0]
        stored_values[rows, :, positions] = values[:, :, 0]
        return stored_keys, stored_values

    def copy_slots(self, source: torch.Tensor, target: torch.Tensor, length: int) -> None:
        """Copy the first `length` positions of the slots `source` over those of `target`."""
        for layer in self._keys:
            # What `reserve` has promised is allocated with the next keys written; a copy may come before them.
            keys, values = self._tensors(layer, self._keys[layer].transpose(2, 3), self._values[layer])
            keys[target, :, :, :length] = keys[source, :, :, :length]
            values[target, :, :length] = values[source, :, :length]

    def clear(self) -> None:
        """Give all memory back."""
        self.__init__(self._most_slots, self._most_length)

    def _tensors(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The layer's tensors, made or enlarged if need be for keys and values like these."""
        _, heads, _, width = keys.shape
        self._keys[layer] = self._fitted(self._keys.get(layer), keys, (self._slots, heads, width, self._length))
        width = values.shape[3]
        self._values[layer] = self._fitted(self._values.get(layer), values, (self._slots, heads, self._length, width))
        return self._keys[layer], self._values[layer]

    @staticmethod
    def _fitted(stored: torch.Tensor | None, like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """`stored`, or a larger zeroed copy of it. Zeroed: a masked position must not hold a NaN."""
        if stored is not None and stored.shape == shape:
            return stored
        grown = like.new_zeros(shape)
        if stored is not None:
            grown[tuple(slice(size) for size in stored.shape)] = stored
        return grown
