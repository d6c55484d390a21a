"""Vector and image records: what is given, dense and of one shape."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from settings.features import ImageFeature, VectorFeature
from transforms.raw_columns import first


def transform(
    records: Sequence[VectorFeature | ImageFeature], columns: dict[str, tf.RaggedTensor]
) -> dict[str, tf.Tensor]:
    """Return the vectors and images; zeros where a row has none.

    Args:
      records: what becomes of which column.
      columns: by record name, ragged `(batch_size, None)`: numbers of a vector; encoded bytes of an image (PNG, JPEG,
        BMP or GIF, of which the first picture counts).

    Returns:
      By record name: float32 `(batch_size, dimension)`; float32 `(batch_size, height, width, 3)`, 0 to 1.

    Raises:
      InvalidArgumentError: when applied to a row whose vector is of another length, or whose image cannot be decoded.
    """
    return {
        r.name: _vectors(r, columns[r.name]) if isinstance(r, VectorFeature) else _images(r, columns[r.name])
        for r in records
    }


def _vectors(record: VectorFeature, rows: tf.RaggedTensor) -> tf.Tensor:
    lengths = rows.row_lengths()
    fits = tf.logical_or(lengths == 0, lengths == record.dimension)
    message = f"features: {record.name!r} should hold vectors of {record.dimension} numbers, or none. Received lengths:"
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(fits), [message, lengths])]):
        numbers = tf.cast(rows, tf.float32).to_tensor(shape=[None, record.dimension])
    return tf.where(tf.math.is_finite(numbers), numbers, tf.zeros_like(numbers))


def _images(record: ImageFeature, rows: tf.RaggedTensor) -> tf.Tensor:
    size = [record.height, record.width]

    def decoded(image: tf.Tensor) -> tf.Tensor:
        pixels = tf.io.decode_image(image, channels=3, dtype=tf.float32, expand_animations=False)
        pixels.set_shape([None, None, 3])
        return tf.image.resize(pixels, size, antialias=True)

    nothing = tf.zeros([*size, 3])
    return tf.map_fn(
        lambda image: tf.cond(image == "", lambda: nothing, lambda: decoded(image)),
        first(rows, ""),
        fn_output_signature=tf.TensorSpec([*size, 3], tf.float32),
    )
