"""What drift is measured by: a few numbers of every input row, cheap enough to take of each request.

It never knows what is normal: that is the reference's business. Start with `features.extractor`; `features.pictures`,
`features.texts` and `features.columns` hold what is measured.
"""

from fairlead.servable.features.extractor import FeatureExtractor

__all__ = ["FeatureExtractor"]
