"""The composition root: the only place that names concrete engines, formats, projections and doors."""
