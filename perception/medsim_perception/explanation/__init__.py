"""Why a model answers as it does, and whether that is true.

Methods: `gradients` (integrated gradients), `grad_cam`, `occlusion`, `attention`. How well they find the truth: `scoring`, for radiographs
against the masks that made them (`chest`) and for charts against a risk whose cause is known (`charts`, `cells`).
"""
