<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Footer: menu and the entries that a site's law may ask for on every page.
 */

namespace Perennial\Theme;

defined( 'ABSPATH' ) || exit;
?>
	</div>
</main>
<footer class="site-footer">
	<div class="wrap">
		<?php if ( has_nav_menu( 'footer' ) ) : ?>
			<nav aria-label="<?php esc_attr_e( 'Footer menu', 'perennial' ); ?>"><?php menu( 'footer' ); ?></nav>
		<?php endif; ?>
		<ul class="legal">
			<li>© <?php echo esc_html( wp_date( 'Y' ) . ' ' . get_bloginfo( 'name' ) ); ?></li>
			<?php
			footer_entry(
				footer_option( 'complaint_url' ),
				__( 'Complaints and reports', 'perennial' ),
				'complaints'
			);
			footer_entry( footer_option( 'terms_url' ), __( 'User agreement', 'perennial' ), 'terms-of-use' );
			footer_entry( footer_option( 'contact_url' ), __( 'Contact', 'perennial' ), 'contact' );
			the_privacy_policy_link( '<li>', '</li>' );
			footer_entry( 'https://beian.miit.gov.cn/', footer_option( 'icp' ), 'icp' );
			footer_entry( 'https://beian.mps.gov.cn/', footer_option( 'police' ), 'police' );
			?>
		</ul>
	</div>
</footer>
<?php wp_footer(); ?>
</body>
</html>
