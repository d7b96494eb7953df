"""See, teach and prevent modality competition in multimodal learning."""
