from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('authn', '0002_authorization_server'),
    ]

    operations = [
        migrations.AddField(
            model_name='answeredrequest',
            name='request_digest',
            field=models.BinaryField(editable=False, null=True),
        ),
    ]
